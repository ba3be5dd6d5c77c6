import { setTimeout as sleep } from 'node:timers/promises';
import { backedOff } from '#shared/backoff.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import type { Logger } from '#shared/telemetry.ts';
import type { WorkerSettings } from '../settings.ts';
import { callGraph } from './call.ts';
import type { Circuits } from './circuits.ts';
import type { CallResult } from './decide.ts';
import type { Lease } from './draft.ts';
import type { Dispatcher, Transitions } from './transitions.ts';

export interface WorkerOptions {
  /** Names it in leases; another after each start. */
  readonly owner: string;
  /** In force now. */
  readonly settings: () => WorkerSettings;
  /** Told how long each call took, and how it ended. */
  readonly onCalled?: (lease: Lease, ms: number, result: CallResult) => void;
  readonly graph: Graph;
  /** Keep calls from what has failed too often. */
  readonly circuits: Circuits;
  readonly logger: Logger;
}

export interface Worker extends Dispatcher {
  /** Looks for due executions until it is closed. @param findNextDueMs time until the next one, ms */
  start(transitions: Transitions, findNextDueMs: () => Promise<number | null>): void;
  /** There may be something to do. */
  wake(): void;
  readonly running: number;
  /** Takes no more, and waits for what runs; what does not end in time is left to its lease. */
  close(waitMs?: number): Promise<void>;
  /** Stops at once without a word to anyone, as a process does that is killed. */
  abandon(): void;
}

/** Executions that one transaction takes: what a worker that died has left behind is taken over in few of them. */
const maxClaim = 128;

interface Running {
  readonly lease: Lease;
  readonly abort: AbortController;
}

/** Carries out steps: calls the graph, tells how it ended under its fencing token, and keeps its leases alive meanwhile. */
export function createWorker({ owner, settings, onCalled, graph, circuits, logger }: WorkerOptions): Worker {
  const running = new Map<string, Running>();
  const work = new Set<Promise<void>>();
  let reserved = 0;
  let transitions: Transitions | null = null;
  let closed = false;
  let abandoned = false;
  let looking: Promise<void> = Promise.resolve();
  let waking = new AbortController();
  /** Until when the worker rests, by the monotonic clock; null while it looks. */
  let restsUntil: number | null = null;
  /** True while something may be due that no place was free for. */
  let starved = false;
  let heart: NodeJS.Timeout | undefined;

  const free = () => settings().slots - running.size - reserved;
  const keyOf = ({ executionId, stepId, epoch }: Lease) => `${executionId}/${stepId}/${epoch}`;

  async function carryOut(lease: Lease): Promise<void> {
    const abort = new AbortController();
    running.set(keyOf(lease), { lease, abort });
    const started = performance.now();
    try {
      const operation = lease.phase === 'backward' ? lease.step.compensation : lease.step.operation;
      const result: CallResult =
        operation === null
          ? {
              ok: false,
              error: { code: 'UNKNOWN_OPERATION', message: 'the graph no longer has it' },
              retryable: false,
              unknown: false,
              timedOut: false,
              retryAfterMs: null,
            }
          : await circuits.call(
              { tenantId: lease.tenantId, module: operation.module, operation: operation.field },
              { run: () => callGraph(graph, { ...lease, operation, signal: abort.signal }), signal: abort.signal },
            );
      running.delete(keyOf(lease));
      if (!abort.signal.aborted) onCalled?.(lease, performance.now() - started, result);
      if (!abandoned) await report(lease, result);
    } finally {
      running.delete(keyOf(lease));
      // What follows in the same execution was handed out with its outcome.
      if (starved) wake();
    }
  }

  /** Until the lease is over: a database that is away for a moment loses no outcome. */
  async function report(lease: Lease, result: CallResult): Promise<void> {
    const key = { tenantId: lease.tenantId, executionId: lease.executionId };
    const until = Date.now() + settings().leaseMs;
    for (let failures = 0; !abandoned; failures += 1) {
      try {
        await transitions!.send(key, { kind: 'outcome', stepId: lease.stepId, epoch: lease.epoch, result });
        return;
      } catch (error) {
        // Said before, or another has the step now: its word counts.
        if (error instanceof PlatformError) return;
        if (Date.now() > until) {
          logger.warn(
            { ...key, stepId: lease.stepId, error: String(error) },
            'the outcome of a step could not be stored',
          );
          return;
        }
        await sleep(backedOff(50, failures));
      }
    }
  }

  async function beat(): Promise<void> {
    await Promise.all(
      [...running.values()].map(async ({ lease, abort }) => {
        const key = { tenantId: lease.tenantId, executionId: lease.executionId };
        const answer = await transitions!
          .send(key, { kind: 'heartbeat', stepId: lease.stepId, epoch: lease.epoch })
          .catch(() => ({ lost: false, stop: false }));
        if (answer.lost === true || answer.stop === true) abort.abort(new Error('the step is no longer wanted'));
      }),
    );
  }

  async function look(findNextDueMs: () => Promise<number | null>): Promise<void> {
    let failures = 0;
    /** True after a claim that found something: then the next is tried without asking. */
    let more = false;
    while (!closed) {
      try {
        const room = free();
        starved = room <= 0;
        const dueMs = room > 0 && !more ? await findNextDueMs() : null;
        // Of an idle worker's looks most find nothing: asking is one statement, a claim is a transaction.
        const isDue: boolean = more || (dueMs !== null && dueMs <= 0);
        const claimed: number = room > 0 && isDue ? await transitions!.claim(Math.min(room, maxClaim)) : 0;
        failures = 0;
        const had = more;
        more = claimed > 0 && free() > 0;
        if (more || (had && claimed === 0)) continue;
        starved ||= claimed > 0;
        const { pollMs } = settings();
        await rest(Math.max(1, Math.min(pollMs, dueMs ?? pollMs)));
      } catch (error) {
        failures += 1;
        if (!closed) logger.warn({ error: String(error) }, 'a look for due workflows failed; the next follows');
        await rest(backedOff(settings().pollMs, failures));
      }
    }
  }

  async function rest(ms: number): Promise<void> {
    restsUntil = performance.now() + ms;
    await sleep(ms, undefined, { signal: waking.signal }).catch(() => {});
    restsUntil = null;
    if (waking.signal.aborted) waking = new AbortController();
  }

  function wake(): void {
    waking.abort();
  }

  return {
    owner,
    get running() {
      return running.size;
    },
    reserve(wanted) {
      const granted = closed || transitions === null ? 0 : Math.max(0, Math.min(wanted, free()));
      reserved += granted;
      return granted;
    },
    release(count) {
      reserved -= count;
    },
    accept(leases) {
      reserved -= leases.length;
      for (const lease of leases) {
        const done: Promise<void> = carryOut(lease).finally(() => work.delete(done));
        work.add(done);
      }
    },
    expect(dueMs) {
      const leftMs = restsUntil === null ? settings().pollMs : restsUntil - performance.now();
      if (dueMs < leftMs) wake();
    },
    start(given, findNextDueMs) {
      transitions = given;
      looking = look(findNextDueMs);
      let beaten = performance.now();
      // The length of leases may change: what was given is renewed by the one in force.
      heart = setInterval(
        () => {
          const now = performance.now();
          if (now - beaten < settings().leaseMs / 3 - 1) return;
          beaten = now;
          void beat();
        },
        Math.min(500, settings().leaseMs / 6),
      );
    },
    wake,
    async close(waitMs = 5_000) {
      closed = true;
      clearInterval(heart);
      wake();
      await looking;
      await Promise.race([Promise.all(work), sleep(waitMs, undefined, { ref: false })]);
      abandoned = true;
      for (const { abort } of running.values()) abort.abort(new Error('the process ends'));
    },
    abandon() {
      closed = true;
      abandoned = true;
      clearInterval(heart);
      wake();
    },
  };
}
