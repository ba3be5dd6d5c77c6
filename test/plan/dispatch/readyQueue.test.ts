import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  createReadyQueue,
  type ReadyQueue,
  type ReadyQueueOptions,
  rankSteps,
  type StepRecord,
  type TokenDemand,
} from '../../../subgraphs/plan/dispatch/index.ts';
import { computeSchedule, createNetwork } from '../../../subgraphs/plan/network/index.ts';
import { type NetworkInput, networks, parseNetwork } from '../network/networks.ts';

function open(input: NetworkInput, options: Omit<ReadyQueueOptions, 'rank'> = {}): ReadyQueue {
  const network = createNetwork(input.steps, input.dependencies);
  return createReadyQueue(network, { rank: rankSteps(network, computeSchedule(network)), ...options });
}

const resourceIds = ['gpu', 'crew'] as const;
const capacities = new Map([
  ['gpu', 3],
  ['crew', 2],
]);
const demandsFor = (count: number): fc.Arbitrary<TokenDemand[][]> =>
  fc.array(
    fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 2 })).map(([gpu, crew]) => [
      { resourceId: 'gpu', amount: gpu },
      { resourceId: 'crew', amount: crew },
    ]),
    { minLength: count, maxLength: count },
  );

/** What happened to every step, kept beside the queue and read by the rules of the relations alone. */
interface Diary {
  readonly started: Map<string, number>;
  readonly worked: Set<string>;
  readonly finished: Map<string, number>;
  readonly skipped: Set<string>;
}

function heldBy({ steps, dependencies }: NetworkInput, diary: Diary, id: string, now: number, event: string): string[] {
  const held = dependencies
    .filter(({ target, type }) => target === id && type.endsWith(event))
    .filter(({ source, type, lag }) => {
      if (diary.skipped.has(source)) return false;
      const at = (type.startsWith('start') ? diary.started : diary.finished).get(source);
      return at === undefined || now < at + Math.max(0, lag);
    })
    .map((dependency) => dependency.id);
  const imposed = steps.find((step) => step.id === id)!.earliestStart;
  return event === 'start' && imposed !== undefined && now < imposed ? [...held, 'imposed'] : held;
}

const actions = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'dispatch',
      'dispatch',
      'complete',
      'complete',
      'complete',
      'fail',
      'retry',
      'skip',
      'block',
      'unblock',
      'claim',
    ),
    pick: fc.nat(),
    wait: fc.nat({ max: 3 }),
    skipDependents: fc.boolean(),
  }),
  { maxLength: 60 },
);

describe('any run of any network', () => {
  const runs = networks({ imposed: true, minLag: -1, maxLag: 2 }).chain((input) =>
    fc.record({
      input: fc.constant(input),
      demands: demandsFor(input.steps.length),
      maxConcurrent: fc.integer({ min: 1, max: 4 }),
      maxPassed: fc.constantFrom(0, 1, Infinity),
      events: actions,
    }),
  );

  it('starts nothing before its time, exceeds no limit, forgets nothing, and restores to where it was', () => {
    fc.assert(
      fc.property(runs, ({ input, demands, maxConcurrent, maxPassed, events }) => {
        const options = { capacities, demands, maxConcurrent, maxPassed };
        const queue = open(input, options);
        const diary: Diary = { started: new Map(), worked: new Set(), finished: new Map(), skipped: new Set() };
        const ids = input.steps.map(({ id }) => id);
        const inState = (...states: string[]) => ids.filter((id) => states.includes(queue.stateOf(id)));
        let now = 0;
        const note = (outcome: { completed: readonly string[]; skipped: readonly string[] }): void => {
          for (const id of outcome.skipped) diary.skipped.add(id);
          for (const id of outcome.completed) {
            expect(diary.worked.has(id)).toBe(true);
            diary.finished.set(id, now);
          }
        };
        const began = (id: string): void => {
          expect(heldBy(input, diary, id, now, 'start')).toEqual([]);
          if (!diary.started.has(id)) diary.started.set(id, now);
        };
        const dispatch = (): void => {
          const outcome = queue.dispatch(now);
          note(outcome);
          for (const id of outcome.started) began(id);
        };
        const check = (): void => {
          const running = inState('running');
          expect(queue.running).toBe(running.length);
          expect(running.length).toBeLessThanOrEqual(maxConcurrent);
          for (const [at, resourceId] of resourceIds.entries()) {
            const used = running.reduce((sum, id) => sum + demands[ids.indexOf(id)]![at]!.amount, 0);
            expect(queue.inUse(resourceId)).toBe(used);
            expect(used).toBeLessThanOrEqual(capacities.get(resourceId)!);
          }
          for (const id of inState('waiting')) expect(heldBy(input, diary, id, now, 'start')).not.toEqual([]);
          for (const id of inState('ready')) expect(heldBy(input, diary, id, now, 'start')).toEqual([]);
          for (const id of inState('finishing')) expect(heldBy(input, diary, id, now, 'finish')).not.toEqual([]);
          for (const id of diary.finished.keys()) expect(heldBy(input, diary, id, now, 'finish')).toEqual([]);
          expect(queue.done).toBe(inState('completed', 'skipped').length === ids.length);
        };
        const step = (kind: string, pick: number, skipDependents: boolean): void => {
          const choose = (...states: string[]): string | undefined => {
            const all = inState(...states);
            return all[pick % all.length];
          };
          if (kind === 'dispatch') {
            dispatch();
            const fits = (id: string) =>
              demands[ids.indexOf(id)]!.every(
                ({ resourceId, amount }) => queue.inUse(resourceId) + amount <= capacities.get(resourceId)!,
              );
            if (maxPassed === Infinity && queue.running < maxConcurrent)
              expect(inState('ready').filter(fits)).toEqual([]);
          }
          if (kind === 'claim') {
            const id = ids[pick % ids.length]!;
            const ready = queue.stateOf(id) === 'ready';
            const { refusal, ...outcome } = queue.start(id, now);
            note(outcome);
            if (refusal === null) began(id);
            if (refusal !== null && ready) expect(refusal).not.toBe('not_ready');
          }
          if (kind === 'complete') {
            const id = choose('running');
            if (id === undefined) return;
            diary.worked.add(id);
            note(queue.complete(id, now));
          }
          if (kind === 'fail') {
            const id = choose('running');
            if (id !== undefined) queue.fail(id, now);
          }
          if (kind === 'retry') {
            const id = choose('failed');
            if (id !== undefined) note(queue.retry(id));
          }
          if (kind === 'block') {
            const id = choose('waiting', 'ready');
            if (id !== undefined) queue.block(id);
          }
          if (kind === 'unblock') {
            const id = choose('blocked');
            if (id !== undefined) note(queue.unblock(id));
          }
          if (kind === 'skip') {
            const id = choose('waiting', 'ready', 'blocked', 'failed');
            if (id === undefined) return;
            const outcome = queue.skip(id, now, { skipDependents });
            expect(outcome.skipped[0]).toBe(id);
            if (!skipDependents) expect(outcome.skipped).toHaveLength(1);
            note(outcome);
            if (skipDependents)
              for (const { source, target } of input.dependencies)
                if (outcome.skipped.includes(source))
                  expect(['skipped', 'running', 'finishing', 'completed']).toContain(queue.stateOf(target));
          }
        };
        for (const { kind, pick, wait, skipDependents } of events) {
          now += wait;
          note(queue.advance(now));
          step(kind, pick, skipDependents);
          check();
        }

        const records = ids.map((stepId): StepRecord => {
          const state = queue.stateOf(stepId);
          const dates = { startedAt: diary.started.get(stepId), finishedAt: diary.finished.get(stepId) };
          return { stepId, state: state === 'ready' ? 'waiting' : state, ...dates };
        });
        const restored = open(input, { ...options, restore: records, now });
        expect(ids.map(restored.stateOf)).toEqual(ids.map(queue.stateOf));
        expect(restored.readyIds()).toEqual(queue.readyIds());
        expect([restored.running, restored.done, restored.nextRelease()]).toEqual([
          ...[queue.running, queue.done, queue.nextRelease()],
        ]);

        for (let round = 0; !queue.done; round += 1) {
          expect(round).toBeLessThan(500);
          for (const id of inState('blocked')) note(queue.unblock(id));
          for (const id of inState('failed')) note(queue.retry(id));
          expect(queue.stalled).toBe(false);
          dispatch();
          const running = inState('running');
          if (running.length === 0) {
            expect(queue.nextRelease()).not.toBeNull();
            now = queue.nextRelease()!;
            note(queue.advance(now));
          } else {
            diary.worked.add(running[0]!);
            note(queue.complete(running[0]!, now));
          }
          check();
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('order', () => {
  const fork = 'a:1 b:5<a c:3<a d:3<a e:9';

  it('is by slack, priority, longest remaining path, then weight over duration', () => {
    const { steps, dependencies } = parseNetwork(fork);
    const network = createNetwork(steps, dependencies);
    const schedule = computeSchedule(network);
    const order = (options?: Parameters<typeof rankSteps>[2]) => {
      const rank = rankSteps(network, schedule, options);
      return network.ids.toSorted(
        (left, right) => rank[network.indexOf.get(left)!]! - rank[network.indexOf.get(right)!]!,
      );
    };
    // Slack: e 0, a and b 3, c and d 5.
    expect(order()).toEqual(['e', 'a', 'b', 'c', 'd']);
    expect(order({ priority: [0, 1, 0, 0, 0] })).toEqual(['e', 'b', 'a', 'c', 'd']);
    expect(order({ weight: [1, 1, 1, 2, 1] })).toEqual(['e', 'a', 'b', 'd', 'c']);
  });

  it('passes over what does not fit and what is not accepted', () => {
    const demands = [1, 2, 1, 1, 3].map((amount) => [{ resourceId: 'gpu', amount }]);
    const queue = open(parseNetwork(fork), { capacities, demands });
    expect(queue.dispatch(0).started).toEqual(['e']);
    expect(queue.dispatch(0).started).toEqual([]);
    queue.complete('e', 9);
    expect(queue.dispatch(9, (id) => id !== 'a').started).toEqual([]);
    expect(queue.dispatch(9).started).toEqual(['a']);
    expect(queue.complete('a', 10).ready).toEqual(['b', 'c', 'd']);
    expect(queue.dispatch(10).started).toEqual(['b', 'c']);
    expect(queue.start('d', 10).refusal).toBe('resources');
  });

  it('asks again for what was kept for a step without an agent, and lets others have it', () => {
    const input = parseNetwork('before:1 wide:9<before s0:1 s1:1 s2:1 s3:1');
    const demands = input.steps.map((_, node) => [{ resourceId: 'gpu', amount: node === 1 ? 3 : 1 }]);
    const queue = open(input, { capacities, demands, maxPassed: 0 });
    expect(queue.dispatch(0).started).toEqual(['before', 's0', 's1']);
    queue.complete('before', 1);
    expect(queue.dispatch(1).started).toEqual(['s2']);
    queue.complete('s0', 2);
    expect(queue.dispatch(2).started).toEqual([]);
    queue.complete('s1', 3);
    queue.complete('s2', 3);
    expect(queue.dispatch(3, (id) => id !== 'wide').started).toEqual(['s3']);
    queue.complete('s3', 4);
    expect(queue.dispatch(4).started).toEqual(['wide']);
  });

  it('keeps the resources for a step that was passed too often', () => {
    const input = parseNetwork('before:1 wide:9<before s0:1 s1:1 s2:1 s3:1 s4:1 s5:1 s6:1 s7:1');
    const demands = input.steps.map((_, node) => [{ resourceId: 'gpu', amount: node === 1 ? 3 : 1 }]);
    const startOfWide = (maxPassed: number): number => {
      const queue = open(input, { capacities, demands, maxPassed });
      const running: string[] = [];
      for (let now = 0; ; now += 1) {
        running.push(...queue.dispatch(now).started);
        if (running.includes('wide')) return now;
        queue.complete(running.shift()!, now);
      }
    };
    expect(startOfWide(1_000)).toBe(9);
    expect(startOfWide(2)).toBe(6);
  });
});

describe('events', () => {
  it('release start-to-start at the start, finish-to-start at the finish, each after its lag', () => {
    const { steps } = parseNetwork('a:5 b:1 c:1');
    const queue = open({
      steps,
      dependencies: [
        { id: 'x', source: 'a', target: 'b', type: 'start_to_start', lag: 2 },
        { id: 'y', source: 'a', target: 'c', type: 'finish_to_start', lag: 3 },
      ],
    });
    expect(queue.dispatch(0).started).toEqual(['a']);
    expect(queue.nextRelease()).toBe(2);
    expect(queue.advance(1).ready).toEqual([]);
    expect(queue.dispatch(2).started).toEqual(['b']);
    expect(queue.complete('a', 5)).toEqual({ ready: [], completed: ['a'], skipped: [] });
    expect(queue.nextRelease()).toBe(8);
    expect(queue.advance(8).ready).toEqual(['c']);
  });

  it('count a lag from the first start of a step that is tried again', () => {
    const { steps } = parseNetwork('a:5 b:1');
    const lagged = { id: 'x', source: 'a', target: 'b', type: 'start_to_start', lag: 4 } as const;
    const queue = open({ steps, dependencies: [lagged] });
    queue.dispatch(0);
    queue.fail('a', 2);
    queue.retry('a');
    expect(queue.dispatch(3).started).toEqual(['a']);
    expect(queue.nextRelease()).toBe(4);
    expect(queue.advance(4).ready).toEqual(['b']);
  });

  it('hold the end of a chain of a thousand finish-to-finish relations, and let it go at once', () => {
    const steps = Array.from({ length: 1_000 }, (_, n) => ({ id: `s${n}`, duration: 1 }));
    const dependencies = steps.slice(1).map(({ id }, n) => ({
      ...{ id: `d${n}`, source: `s${n}`, target: id, lag: 0 },
      type: 'finish_to_finish' as const,
    }));
    const queue = open({ steps, dependencies });
    expect(queue.dispatch(0).started).toHaveLength(1_000);
    for (let n = 999; n > 0; n -= 1) expect(queue.complete(`s${n}`, 1).completed).toEqual([]);
    expect([queue.running, queue.stateOf('s999')]).toEqual([1, 'finishing']);
    expect(queue.complete('s0', 2).completed).toHaveLength(1_000);
    expect(queue.done).toBe(true);
  });

  it('of the wrong state are refused by name', () => {
    const queue = open(parseNetwork('a:1 b:1<a'));
    expect(() => queue.complete('a', 0)).toThrow("expected step 'a' to be running, got ready");
    expect(() => queue.retry('b')).toThrow("expected step 'b' to be failed, got waiting");
    expect(() => queue.skip('z', 0)).toThrow("expected the id of a step of this network, got 'z'");
    expect(queue.start('b', 0).refusal).toBe('not_ready');
    expect(() => open(parseNetwork('a:1'), { capacities, demands: [[{ resourceId: 'gpu', amount: 4 }]] })).toThrow(
      "expected at most 3 of 'gpu' for the step at 0, got 4",
    );
  });

  test('a failed step stalls the run until it is retried or skipped', () => {
    const queue = open(parseNetwork('a:1 b:1<a c:1<b'));
    queue.dispatch(0);
    queue.fail('a', 1);
    expect([queue.stalled, queue.done, queue.running]).toEqual([true, false, 0]);
    expect(queue.retry('a').ready).toEqual(['a']);
    queue.dispatch(2);
    queue.fail('a', 3);
    expect(queue.skip('a', 3).ready).toEqual(['b']);
    expect(queue.skip('b', 3, { skipDependents: true }).skipped).toEqual(['b', 'c']);
    expect([queue.done, queue.stalled]).toEqual([true, false]);
  });
});
