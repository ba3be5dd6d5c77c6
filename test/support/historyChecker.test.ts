import { describe, expect, test } from 'vitest';
import {
  createHistory,
  type FinalRow,
  type History,
  type HistoryReport,
  type ViolationKind,
} from './historyChecker.ts';

type Call =
  | { do: 'sent'; id: string }
  | { do: 'acknowledged'; stream: string; id: string; sequence: number }
  | { do: 'refused'; id: string }
  | { do: 'subscribed'; subscriber: string; stream: string; after: number }
  | { do: 'delivered'; subscriber: string; stream: string; id: string; sequence: number }
  | { do: 'resumed'; subscriber: string; stream: string; after: number }
  | { do: 'removed'; subscriber: string; stream: string; at: number };

interface Run {
  calls: Call[];
  rows: FinalRow[];
}

function replay({ calls, rows }: Run): HistoryReport {
  const history: History = createHistory();
  for (const call of calls) {
    switch (call.do) {
      case 'sent':
      case 'refused':
        history[call.do](call.id);
        break;
      case 'acknowledged':
        history.acknowledged(call.stream, call);
        break;
      case 'subscribed':
        history.subscribed(call.subscriber, call);
        break;
      case 'delivered':
        history.delivered(call.subscriber, call);
        break;
      case 'resumed':
        history.resumed(call.subscriber, call.after, call.stream);
        break;
      case 'removed':
        history.removed(call.subscriber, call.stream, call.at);
    }
  }
  return history.check(rows);
}

/** A small generator of our own, so that a seed names a run for good (mulberry32, T. Ettinger 2017). */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A correct run: writes with lost answers and retries, subscribers that join late, resume, repeat or are removed. */
function createGoodRun(seed: number): Run {
  const random = createRandom(seed);
  const calls: Call[] = [];
  const rows: FinalRow[] = [];
  for (const stream of ['dialog-a', 'dialog-b', 'dialog-c']) {
    const length = 20 + random(20);
    for (let sequence = 1; sequence <= length; sequence += 1) {
      const id = `${stream}-m${sequence}`;
      rows.push({ stream, id, sequence });
      calls.push({ do: 'sent', id });
      const fate = random(10);
      if (fate > 0) calls.push({ do: 'acknowledged', stream, id, sequence });
      if (fate === 1) calls.push({ do: 'acknowledged', stream, id, sequence });
      if (fate === 2) calls.push({ do: 'refused', id: `${id}-refused` }, { do: 'sent', id: `${id}-lost` });
    }
    for (let index = 0; index < 4; index += 1) {
      const subscriber = `${stream}-s${index}`;
      const removedAt = index === 3 ? 10 + random(5) : undefined;
      const end = removedAt ?? length;
      let position = random(4);
      calls.push({ do: 'subscribed', subscriber, stream, after: position });
      if (removedAt !== undefined) calls.push({ do: 'removed', subscriber, stream, at: removedAt });
      while (position < end) {
        if (random(6) === 0) {
          position = Math.max(0, position - random(3));
          calls.push({ do: 'resumed', subscriber, stream, after: position });
        }
        position += 1;
        calls.push({ do: 'delivered', subscriber, stream, id: `${stream}-m${position}`, sequence: position });
      }
    }
  }
  for (let index = rows.length - 1; index > 0; index -= 1) {
    const other = random(index + 1);
    [rows[index], rows[other]] = [rows[other]!, rows[index]!];
  }
  return { calls, rows };
}

/** Picks one call of a kind (and fitting) by the seed. */
function pick<Kind extends Call['do']>(
  run: Run,
  kind: Kind,
  seed: number,
  fits: (call: Extract<Call, { do: Kind }>) => boolean = () => true,
) {
  const found = run.calls.filter((call): call is Extract<Call, { do: Kind }> => call.do === kind).filter(fits);
  return found[createRandom(seed + 1_000)(found.length)]!;
}

function remove(run: Run, call: Call): void {
  run.calls.splice(run.calls.indexOf(call), 1);
}

const lastOf = (run: Run, stream: string) =>
  Math.max(...run.rows.filter((row) => row.stream === stream).map((row) => row.sequence));
/** Subscribers 0 to 2 are never removed. */
const stays = (call: { subscriber: string }) => !call.subscriber.endsWith('s3');
/** Received once, in the middle, with nothing resumed around it. */
function isPlain(run: Run, call: Extract<Call, { do: 'delivered' }>): boolean {
  const own = run.calls.filter((other) => 'subscriber' in other && other.subscriber === call.subscriber);
  const index = own.indexOf(call);
  const around = own.slice(index - 3, index + 5);
  const once = own.filter((other) => other.do === 'delivered' && other.sequence === call.sequence).length === 1;
  return stays(call) && once && around.length === 8 && around.every((other) => other.do === 'delivered');
}

interface Corruption {
  readonly expected: ViolationKind;
  /** Spoils the run and returns what the message must name. */
  spoil(run: Run, seed: number): string[];
}

const corruptions: Readonly<Record<string, Corruption>> = {
  'an acknowledged write is lost': {
    expected: 'acknowledged-lost',
    spoil(run, seed) {
      const call = pick(run, 'acknowledged', seed);
      run.rows = run.rows.filter((row) => row.id !== call.id);
      return [call.id, `#${call.sequence}`];
    },
  },
  'an acknowledged write is stored with another sequence': {
    expected: 'acknowledged-changed',
    spoil(run, seed) {
      const call = pick(run, 'acknowledged', seed);
      const other = run.rows.find((row) => row.stream === call.stream && row.id !== call.id)!;
      run.rows = run.rows.map((row) =>
        row.id === call.id
          ? { ...row, sequence: other.sequence }
          : row === other
            ? { ...row, sequence: call.sequence }
            : row,
      );
      return [call.id, `#${call.sequence}`, `#${other.sequence}`];
    },
  },
  'a retry is acknowledged as another write': {
    expected: 'acknowledged-twice',
    spoil(run, seed) {
      const call = pick(run, 'acknowledged', seed);
      run.calls.push({ ...call, sequence: call.sequence + 1 });
      return [call.id, `#${call.sequence}`, `#${call.sequence + 1}`];
    },
  },
  'a refused write is stored': {
    expected: 'refused-stored',
    spoil(run, seed) {
      const call = pick(run, 'refused', seed);
      run.rows.push({ stream: 'dialog-a', id: call.id, sequence: lastOf(run, 'dialog-a') + 1 });
      return [call.id];
    },
  },
  'a write is stored twice': {
    expected: 'duplicate-write',
    spoil(run, seed) {
      const call = pick(run, 'acknowledged', seed);
      const sequence = lastOf(run, call.stream) + 1;
      run.rows.push({ stream: call.stream, id: call.id, sequence });
      return [call.id, `#${call.sequence}`, `#${sequence}`];
    },
  },
  'the record skips a sequence': {
    expected: 'sequence-gap',
    spoil(run, seed) {
      const after = 1 + createRandom(seed)(lastOf(run, 'dialog-b') - 1);
      run.rows = run.rows.map((row) =>
        row.stream === 'dialog-b' && row.sequence > after ? { ...row, sequence: row.sequence + 1 } : row,
      );
      return ['dialog-b', `sequence ${after + 1} is missing`];
    },
  },
  'the record starts late': {
    expected: 'sequence-gap',
    spoil(run) {
      run.rows = run.rows.map((row) => (row.stream === 'dialog-c' ? { ...row, sequence: row.sequence + 2 } : row));
      return ['dialog-c', 'sequence 1 to 2 is missing'];
    },
  },
  'the record repeats a sequence': {
    expected: 'sequence-repeat',
    spoil(run, seed) {
      const sequence = 1 + createRandom(seed)(lastOf(run, 'dialog-b'));
      run.rows.push({ stream: 'dialog-b', id: 'intruder', sequence });
      return ['dialog-b', `sequence ${sequence}`];
    },
  },
  'two deliveries change places': {
    expected: 'delivery-out-of-order',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed, (candidate) => isPlain(run, candidate));
      const own = run.calls.filter((other) => other.do === 'delivered' && other.subscriber === call.subscriber);
      const next = own[own.indexOf(call) + 1]!;
      const [at, nextAt] = [run.calls.indexOf(call), run.calls.indexOf(next)];
      [run.calls[at], run.calls[nextAt]] = [next, call];
      return [call.subscriber, call.id, `#${call.sequence}`];
    },
  },
  'a delivery is left out': {
    expected: 'delivery-gap',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed, (candidate) => isPlain(run, candidate));
      remove(run, call);
      return [call.subscriber, call.id, `#${call.sequence}`];
    },
  },
  'the last delivery is left out': {
    expected: 'delivery-missing',
    spoil(run, seed) {
      const call = pick(
        run,
        'delivered',
        seed,
        (candidate) => stays(candidate) && candidate.sequence === lastOf(run, candidate.stream),
      );
      remove(run, call);
      return [call.subscriber, call.id, `#${call.sequence}`];
    },
  },
  'a resume skips what was never received': {
    expected: 'delivery-gap',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed, (candidate) => isPlain(run, candidate));
      run.calls[run.calls.indexOf(call)] = {
        do: 'resumed',
        subscriber: call.subscriber,
        stream: call.stream,
        after: call.sequence,
      };
      return [call.subscriber, call.id, `#${call.sequence}`];
    },
  },
  'a delivery comes twice': {
    expected: 'delivery-duplicate',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed, (candidate) => isPlain(run, candidate));
      run.calls.splice(run.calls.indexOf(call) + createRandom(seed)(3), 0, { ...call });
      return [call.subscriber, call.id, 'twice'];
    },
  },
  'a resume brings the last one again': {
    expected: 'delivery-duplicate',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed, (candidate) => isPlain(run, candidate));
      run.calls.splice(
        run.calls.indexOf(call) + 1,
        0,
        { do: 'resumed', subscriber: call.subscriber, stream: call.stream, after: call.sequence },
        { ...call },
      );
      return [call.subscriber, call.id];
    },
  },
  'something is delivered from before the cursor': {
    expected: 'delivery-duplicate',
    spoil(run, seed) {
      const start = pick(run, 'subscribed', seed, (call) => call.after > 0);
      run.calls.splice(run.calls.indexOf(start) + 1, 0, {
        do: 'delivered',
        subscriber: start.subscriber,
        stream: start.stream,
        id: `${start.stream}-m${start.after}`,
        sequence: start.after,
      });
      return [start.subscriber, `follows #${start.after}`];
    },
  },
  'something is delivered that was rolled back': {
    expected: 'delivered-uncommitted',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed);
      run.calls.splice(run.calls.indexOf(call), 0, { ...call, id: 'ghost' });
      return [call.subscriber, 'ghost'];
    },
  },
  'something is delivered on another stream': {
    expected: 'delivered-uncommitted',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed, (candidate) => candidate.stream === 'dialog-a');
      run.calls.splice(run.calls.indexOf(call), 0, { ...call, id: 'dialog-b-m3', sequence: 3 });
      return [call.subscriber, 'dialog-b-m3'];
    },
  },
  'a delivery carries another sequence': {
    expected: 'delivered-changed',
    spoil(run, seed) {
      const call = pick(run, 'delivered', seed);
      run.calls.splice(run.calls.indexOf(call), 0, { ...call, sequence: call.sequence + 5 });
      return [call.subscriber, call.id, `#${call.sequence + 5}`];
    },
  },
  'a removed participant receives more': {
    expected: 'delivery-after-removal',
    spoil(run, seed) {
      const { subscriber, stream, at } = pick(run, 'removed', seed);
      run.calls.push({ do: 'delivered', subscriber, stream, id: `${stream}-m${at + 1}`, sequence: at + 1 });
      return [subscriber, `#${at + 1}`, `removal at #${at}`];
    },
  },
};

const seeds = Array.from({ length: 50 }, (_, index) => index + 1);

describe('a history', () => {
  test('of a correct run has no violation', () => {
    let redelivered = 0;
    for (const seed of seeds) {
      const run = createGoodRun(seed);
      const report = replay(run);
      expect(report.violations, `seed ${seed}`).toEqual([]);
      expect(report.committed).toBe(run.rows.length);
      expect(report.acknowledged + report.committedUnacknowledged).toBe(report.committed);
      expect(report.deliveries).toBe(run.calls.filter((call) => call.do === 'delivered').length);
      redelivered += report.redelivered;
    }
    expect(redelivered).toBeGreaterThan(0);
  });

  test.for(Object.entries(corruptions))('shows that %s', ([, { expected, spoil }]) => {
    for (const seed of seeds) {
      const run = createGoodRun(seed);
      const named = spoil(run, seed);
      const found = replay(run).violations.filter((violation) => violation.kind === expected);
      const fitting = found.filter((violation) => named.every((part) => violation.message.includes(part)));
      expect(
        fitting.length,
        `seed ${seed}: ${found.map((violation) => violation.message).join('; ') || 'nothing found'}, expected ${named.join(', ')}`,
      ).toBeGreaterThan(0);
    }
  });

  test('a small corruption is reported once and as nothing else', () => {
    for (const name of [
      'two deliveries change places',
      'a delivery is left out',
      'the last delivery is left out',
      'a delivery comes twice',
      'a resume brings the last one again',
      'a removed participant receives more',
      'a retry is acknowledged as another write',
    ]) {
      for (const seed of seeds) {
        const run = createGoodRun(seed);
        corruptions[name]?.spoil(run, seed);
        expect(
          replay(run).violations.map((violation) => violation.kind),
          `${name}, seed ${seed}`,
        ).toEqual([corruptions[name]?.expected]);
      }
    }
  });
});

describe('what is no violation', () => {
  const rows = (count: number): FinalRow[] =>
    Array.from({ length: count }, (_, index) => ({
      stream: 's',
      id: `m${index + 1}`,
      sequence: index + 1,
      type: index % 2 ? 'read' : 'sent',
    }));

  test('a write whose answer was lost is counted', () => {
    const history = createHistory();
    for (const id of ['m1', 'm2', 'm3']) history.sent(id);
    history.acknowledged('s', { id: 'm1', sequence: 1 });
    expect(history.check(rows(2))).toMatchObject({
      violations: [],
      sent: 3,
      acknowledged: 1,
      committed: 2,
      committedUnacknowledged: 1,
      committedUnsent: 0,
    });
  });

  test('a row nobody sent is counted, or a violation where all writers are known', () => {
    const history = createHistory();
    history.sent('m1');
    expect(history.check(rows(2))).toMatchObject({ violations: [], committedUnsent: 1 });
    expect(history.check(rows(2), { unsentAllowed: false }).violations).toMatchObject([
      { kind: 'never-sent', id: 'm2' },
    ]);
  });

  test('rows that a subscription does not select need not arrive', () => {
    const history = createHistory();
    history.subscribed('a', { stream: 's', after: 0, selects: (row) => row.type === 'sent' });
    history.delivered('a', { stream: 's', id: 'm1', sequence: 1 });
    history.delivered('a', { stream: 's', id: 'm3', sequence: 3 });
    expect(history.check(rows(4)).violations).toEqual([]);
    expect(history.check(rows(5)).violations).toMatchObject([{ kind: 'delivery-missing', id: 'm5', subscriber: 'a' }]);
  });

  test('who left, or is still on the way, need not have the end', () => {
    const history = createHistory();
    for (const subscriber of ['left', 'slow']) {
      history.subscribed(subscriber, { stream: 's', after: 0 });
      history.delivered(subscriber, { stream: 's', id: 'm1', sequence: 1 });
    }
    history.left('left');
    expect(history.check(rows(2)).violations).toMatchObject([{ kind: 'delivery-missing', subscriber: 'slow' }]);
    expect(history.check(rows(2), { complete: false }).violations).toEqual([]);
  });

  test('a subscriber that never received anything is not forgotten', () => {
    const history = createHistory();
    history.subscribed('silent', { stream: 's', after: 0 });
    expect(history.check(rows(3)).violations).toMatchObject([{ id: 'm1' }, { id: 'm2' }, { id: 'm3' }]);
  });

  test('a record trimmed at its head', () => {
    const history = createHistory();
    expect(history.check(rows(5).slice(2)).violations).toMatchObject([{ kind: 'sequence-gap' }]);
    expect(history.check(rows(5).slice(2), { firstSequence: 3 }).violations).toEqual([]);
  });

  test('a resume of someone who follows nothing is a mistake of the test', () => {
    expect(() => createHistory().resumed('a', 3)).toThrow('resumed(a): it follows no stream yet, name one');
  });
});
