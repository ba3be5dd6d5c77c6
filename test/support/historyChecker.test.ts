import { describe, expect, test } from 'vitest';
import { corruptions } from './history/corruptions.ts';
import { createGoodRun, replay } from './history/run.ts';
import { createHistory, type FinalRow } from './historyChecker.ts';

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
