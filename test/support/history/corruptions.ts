import type { ViolationKind } from '../historyChecker.ts';
import { type Call, createRandom, type Run } from './run.ts';

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

export const corruptions: Readonly<Record<string, Corruption>> = {
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
