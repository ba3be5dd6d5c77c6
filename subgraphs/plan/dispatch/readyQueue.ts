import { type ActivityNetwork, requireIndex } from '../network/index.ts';
import { type DispatchOutcome, type DispatchStart, mergeOutcomes, type StartRefusal } from './outcome.ts';
import { createReadyPool } from './readyPool.ts';
import { createRelations } from './relations.ts';
import { restoreSteps, type StepRecord } from './restore.ts';
import { createTokenPool, type TokenDemand } from './tokens.ts';

/** `finishing`: the work is reported done, and a finish-to-finish or start-to-finish relation still holds the end. */
export type DispatchState =
  | 'waiting'
  | 'ready'
  | 'running'
  | 'finishing'
  | 'completed'
  | 'skipped'
  | 'failed'
  | 'blocked';

export interface ReadyQueueOptions {
  /** Place of each node in the order of dispatch: `rankSteps`. */
  readonly rank: Int32Array;
  /** Steps running at once. @default no bound */
  readonly maxConcurrent?: number | undefined;
  readonly capacities?: ReadonlyMap<string, number> | undefined;
  /** By node. @default nothing */
  readonly demands?: readonly (readonly TokenDemand[])[] | undefined;
  /**
   * How often a step may miss its resources while others get them; then they are kept for it, one step at a time.
   * @default 20
   */
  readonly maxPassed?: number | undefined;
  /** Where a run that was interrupted stood. @default nothing has happened */
  readonly restore?: readonly StepRecord[] | undefined;
  /** Time of the first release. @default 0 */
  readonly now?: number | undefined;
}

export interface ReadyQueue {
  readonly running: number;
  /** Every step is completed or skipped. */
  readonly done: boolean;
  /** Nothing runs, is ready or is due: only a retry, a skip or an unblocking goes on from here. Never true when done. */
  readonly stalled: boolean;
  stateOf(stepId: string): DispatchState;
  readyIds(): string[];
  inUse(resourceId: string): number;
  /**
   * Starts ready steps in their order while concurrency and resources last. `accept` is asked for each that fits, for
   * instance whether an agent is free; what it refuses stays ready.
   */
  dispatch(now: number, accept?: (stepId: string) => boolean): DispatchStart;
  /** Starts this one out of turn, as an agent's claim does. */
  start(stepId: string, now: number): DispatchStart & { readonly refusal: StartRefusal | null };
  /** The work is done: concurrency and resources are free, successors released. O(out-degree). @throws {RangeError} unless running. */
  complete(stepId: string, now: number): DispatchOutcome;
  /** @throws {RangeError} unless running. */
  fail(stepId: string, now: number): void;
  /** failed -> waiting or ready. @throws {RangeError} unless failed. */
  retry(stepId: string): DispatchOutcome;
  /** waiting or ready -> blocked. @throws {RangeError} otherwise. */
  block(stepId: string): void;
  /** @throws {RangeError} unless blocked. */
  unblock(stepId: string): DispatchOutcome;
  /**
   * Satisfies the successors without the step, or skips with it everything behind it that has not started.
   * @throws {RangeError} for a step that runs or has ended.
   */
  skip(stepId: string, now: number, options?: { readonly skipDependents?: boolean }): DispatchOutcome;
  /** Releases what waited for a lag or an imposed start until now. */
  advance(now: number): DispatchOutcome;
  /** When `advance` has something to do next; null when nothing is timed. */
  nextRelease(): number | null;
}

export function createReadyQueue(network: ActivityNetwork, options: ReadyQueueOptions): ReadyQueue {
  const { count, ids, indexOf, edgeTarget, outStart, outEdges } = network;
  const { maxConcurrent = Infinity, capacities = new Map(), demands = [], maxPassed = 20 } = options;
  const states = new Array<DispatchState>(count).fill('waiting');
  const tokens = createTokenPool(capacities, demands);
  const pool = createReadyPool({ rank: options.rank, tokens, maxPassed, isReady: (node) => states[node] === 'ready' });
  const freed: number[] = [];
  const finishable: number[] = [];
  const relations = createRelations(network, {
    mayStart: (node) => freed.push(node),
    mayFinish: (node) => finishable.push(node),
  });
  let running = 0;
  let ended = 0;

  /** Works off what became possible, without recursion, and answers what came of it. */
  const settle = (now: number, skipped: readonly number[] = []): DispatchOutcome => {
    const ready: number[] = [];
    const completed: number[] = [];
    for (;;) {
      const finished = finishable.pop();
      if (finished === undefined) break;
      if (states[finished] !== 'finishing' || relations.finishHeld(finished)) continue;
      states[finished] = 'completed';
      ended += 1;
      completed.push(finished);
      relations.finished(finished, now);
    }
    for (const node of freed.splice(0)) {
      if (states[node] !== 'waiting') continue;
      states[node] = 'ready';
      pool.add(node);
      ready.push(node);
    }
    const named = (nodes: readonly number[]): string[] => nodes.map((node) => ids[node]!);
    return { ready: named(ready), completed: named(completed), skipped: named(skipped) };
  };
  const require = (stepId: string, ...allowed: readonly DispatchState[]): number => {
    const node = requireIndex(indexOf, stepId);
    if (!allowed.includes(states[node]!))
      throw new RangeError(`expected step '${stepId}' to be ${allowed.join(' or ')}, got ${states[node]}`);
    return node;
  };
  const begin = (node: number, now: number): void => {
    states[node] = 'running';
    pool.taken(node);
    running += 1;
    relations.started(node, now);
  };
  const leave = (node: number, state: DispatchState): void => {
    states[node] = state;
    running -= 1;
    pool.released(node);
  };
  /** Back to the start: ready when nothing holds it. */
  const waitAgain = (node: number, now: number): DispatchOutcome => {
    states[node] = 'waiting';
    if (!relations.startHeld(node)) freed.push(node);
    return settle(now);
  };
  const refuse = (node: number): StartRefusal | null => {
    if (states[node] !== 'ready') return 'not_ready';
    if (running >= maxConcurrent) return 'concurrency';
    return tokens.lacking(node) === null ? null : 'resources';
  };
  const unstarted = (node: number): boolean =>
    states[node] === 'waiting' || states[node] === 'ready' || states[node] === 'blocked' || states[node] === 'failed';
  let clock = options.now ?? 0;

  for (let node = 0; node < count; node += 1) if (!relations.startHeld(node)) freed.push(node);
  if (options.restore !== undefined) {
    const restored = restoreSteps(network, options.restore, { states, relations });
    for (const node of restored.running) tokens.take(node);
    finishable.push(...restored.finishing);
    running = restored.running.length;
    ended = restored.ended;
  }
  relations.advance(clock);
  settle(clock);

  return {
    get running() {
      return running;
    },
    get done() {
      return ended === count;
    },
    get stalled() {
      return ended < count && running === 0 && relations.nextRelease() === null && !states.includes('ready');
    },
    stateOf: (stepId) => states[requireIndex(indexOf, stepId)]!,
    readyIds: () =>
      ids
        .map((_, node) => node)
        .filter((node) => states[node] === 'ready')
        .sort((left, right) => options.rank[left]! - options.rank[right]!)
        .map((node) => ids[node]!),
    inUse: tokens.inUse,
    dispatch(now, accept = () => true) {
      clock = now;
      relations.advance(now);
      const outcomes = [settle(now)];
      const started: string[] = [];
      const refused: number[] = [];
      while (running < maxConcurrent) {
        const node = pool.next();
        if (node === null) break;
        if (!accept(ids[node]!)) {
          // What lacks an agent keeps no resources from those that have one.
          pool.withdrawn(node);
          refused.push(node);
          continue;
        }
        begin(node, now);
        started.push(ids[node]!);
        outcomes.push(settle(now));
      }
      for (const node of refused) pool.add(node);
      return { ...mergeOutcomes(outcomes), started };
    },
    start(stepId, now) {
      clock = now;
      const node = requireIndex(indexOf, stepId);
      relations.advance(now);
      const outcome = settle(now);
      const refusal = refuse(node);
      if (refusal !== null) return { ...outcome, started: [], refusal };
      begin(node, now);
      return { ...mergeOutcomes([outcome, settle(now)]), started: [stepId], refusal };
    },
    complete(stepId, now) {
      const node = require(stepId, 'running');
      clock = now;
      leave(node, 'finishing');
      relations.advance(now);
      finishable.push(node);
      return settle(now);
    },
    fail(stepId, now) {
      const node = require(stepId, 'running');
      clock = now;
      leave(node, 'failed');
    },
    retry: (stepId) => waitAgain(require(stepId, 'failed'), clock),
    block(stepId) {
      const node = require(stepId, 'waiting', 'ready');
      states[node] = 'blocked';
      pool.withdrawn(node);
    },
    unblock: (stepId) => waitAgain(require(stepId, 'blocked'), clock),
    skip(stepId, now, { skipDependents = false } = {}) {
      clock = now;
      const skipped = [require(stepId, 'waiting', 'ready', 'blocked', 'failed')];
      const drop = (node: number): void => {
        states[node] = 'skipped';
        ended += 1;
        pool.withdrawn(node);
      };
      drop(skipped[0]!);
      for (let at = 0; skipDependents && at < skipped.length; at += 1) {
        const node = skipped[at]!;
        for (let place = outStart[node]!; place < outStart[node + 1]!; place += 1) {
          const next = edgeTarget[outEdges[place]!]!;
          if (!unstarted(next)) continue;
          drop(next);
          skipped.push(next);
        }
      }
      for (const node of skipped) relations.dropped(node);
      return settle(now, skipped);
    },
    advance(now) {
      clock = now;
      relations.advance(now);
      return settle(now);
    },
    nextRelease: relations.nextRelease,
  };
}
