import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { NewEvent, NewJob } from '#shared/outbox.ts';
import { hasScope, type Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { Commands } from './commands.ts';
import { executionEvent, planEvent, stepEvents } from './events.ts';
import { handleFailure, lapsedError, timeoutError } from './failure.ts';
import * as inputs from './inputs.ts';
import type { PlanExecutionRow, PlanRow, PlanStatusValue, PlanStepExecutionRow } from './rows.ts';
import {
  changeRun,
  changeRunStep,
  endOpenSteps,
  findClaimable,
  findHolders,
  findOverdue,
  findRunStep,
  type LockedRun,
  lockRun,
  mirrorSteps,
  recountSuccessors,
  recoverLapsed,
  settleFinishing,
} from './runStore.ts';
import { lockPlan, upsertPlans } from './store.ts';

export interface LeaseKey {
  readonly executionId: string;
  readonly stepId: string;
  readonly epoch: number;
}

export interface LeaseResponse {
  readonly executionId: string;
  readonly stepId: string | null;
  readonly epoch: number;
}

export type Runs = ReturnType<typeof createRuns>;

/** What happens in a run once it is started. Every change is made under the run's lock, by the database's clock. */
export function createRuns(runtime: ModuleRuntime, commands: Commands) {
  const { sql } = runtime;

  /** Moves the plan along with its run. */
  async function movePlan(
    tx: SqlTransaction,
    run: PlanExecutionRow,
    status: PlanStatusValue,
    { now, actor, reason }: { readonly now: string; readonly actor: string; readonly reason: string | null },
  ): Promise<NewEvent[]> {
    const plan = await lockPlan(tx, run.tenantId, run.planId);
    if (!plan || plan.status === status) return [];
    const moved: PlanRow = {
      ...plan,
      status,
      statusReason: reason,
      version: plan.version + 1,
      updatedAt: now,
      updatedBy: actor,
    };
    await upsertPlans(tx, [moved], 'upsert');
    return [planEvent('plan.status.changed', moved, { status: [plan.status, status] })];
  }

  /** Steps have ended: frees their successors, and ends the run with its last step. */
  async function ended(
    tx: SqlTransaction,
    run: LockedRun,
    steps: readonly PlanStepExecutionRow[],
    options: { readonly released: number; readonly actor: string },
  ): Promise<{ readonly run: PlanExecutionRow; readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
    const events: NewEvent[] = [];
    const jobs: NewJob[] = [];
    let ends = 0;
    let work = 0;
    const changed = new Map<string, PlanStepExecutionRow>();
    let wave = steps;
    while (wave.length > 0) {
      const gone = wave.filter(({ status }) => status === 'completed' || status === 'skipped');
      ends += gone.length;
      for (const step of gone) {
        work += step.durationMs;
        events.push(...stepEvents(`step.${step.status}`, step, run));
      }
      for (const step of wave) changed.set(step.stepId, step);
      const next = await recountSuccessors(
        tx,
        run,
        wave.map(({ stepId }) => stepId),
      );
      for (const { status, finishAt, finishWaits, stepId } of next)
        if (status === 'finishing' && finishWaits === 0 && finishAt !== null)
          jobs.push(settleJob(run, stepId, finishAt));
      wave = next.some(({ status, finishWaits }) => status === 'finishing' && finishWaits === 0)
        ? await settleFinishing(tx, run)
        : [];
    }
    await mirrorSteps(tx, [...changed.values()]);
    const done = run.endedSteps + ends >= run.totalSteps;
    const after = await changeRun(
      tx,
      run,
      `ended_steps = ended_steps + $3, running_steps = running_steps - $4, done_work_ms = done_work_ms + $5,
       status = CASE WHEN $6::bool THEN 'COMPLETED' ELSE status END, completed_at = CASE WHEN $6::bool THEN clock_timestamp() END`,
      [ends, options.released, work, done],
    );
    events.push(executionEvent('plan.execution.progress', after));
    if (done) {
      events.push(executionEvent('plan.execution.completed', after));
      events.push(...(await movePlan(tx, after, 'completed', { now: run.now, actor: options.actor, reason: null })));
    }
    return { run: after, events, jobs };
  }

  /** A step that nothing can mend ends the run. */
  async function failRun(
    tx: SqlTransaction,
    run: LockedRun,
    { reason, actor }: { readonly reason: string; readonly actor: string },
  ): Promise<{ readonly run: PlanExecutionRow; readonly events: NewEvent[] }> {
    const stopped = await endOpenSteps(tx, run, 'pending', null);
    await mirrorSteps(tx, stopped);
    const after = await changeRun(
      tx,
      run,
      `status = 'FAILED', status_reason = $3, running_steps = 0, completed_at = clock_timestamp()`,
      [reason],
    );
    return {
      run: after,
      events: [
        executionEvent('plan.execution.failed', after, { reason }),
        ...(await movePlan(tx, after, 'failed', { now: run.now, actor, reason })),
      ],
    };
  }

  async function cancelRun(
    tx: SqlTransaction,
    run: LockedRun,
    { reason, actor }: { readonly reason: string | null; readonly actor: string },
  ): Promise<{ readonly run: PlanExecutionRow; readonly events: NewEvent[] }> {
    const stopped = await endOpenSteps(tx, run, 'skipped', reason === null ? 'cancelled' : `cancelled: ${reason}`);
    await mirrorSteps(tx, stopped);
    const after = await changeRun(
      tx,
      run,
      `status = 'CANCELLED', status_reason = $3, running_steps = 0, completed_at = clock_timestamp()`,
      [reason],
    );
    return {
      run: after,
      events: [
        ...stopped.flatMap((step) => stepEvents('step.skipped', step, after, { reason: 'cancelled' })),
        executionEvent('plan.execution.cancelled', after, { reason }),
        ...(await movePlan(tx, after, 'cancelled', { now: run.now, actor, reason })),
      ],
    };
  }

  /** Nobody mends a blocked step: it has failed, and the run with it. */
  async function failBlocked(
    tx: SqlTransaction,
    run: LockedRun,
    { stepId }: PlanStepExecutionRow,
    { reason, actor }: { readonly reason: string | null; readonly actor: string },
  ): Promise<{ readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
    const failed = await changeRunStep(tx, run, stepId, `status = 'failed', finished_at = clock_timestamp()`);
    await mirrorSteps(tx, [failed]);
    const outcome = await failRun(tx, run, { reason: reason ?? failed.error ?? 'a step failed', actor });
    return { events: [...stepEvents('step.failed', failed, run, { reason }), ...outcome.events], jobs: [] };
  }

  /** Lapsed leases go back to pending, what was held only by time ends, and a run past its deadline fails. */
  async function settle(tx: SqlTransaction, run: LockedRun, actor: string) {
    const events: NewEvent[] = [];
    const jobs: NewJob[] = [];
    let current: LockedRun = run;
    const lapsed = await recoverLapsed(tx, run);
    if (lapsed.length > 0) {
      await mirrorSteps(tx, lapsed);
      current = {
        ...(await changeRun(tx, current, 'running_steps = running_steps - $3', [lapsed.length])),
        now: run.now,
      };
      events.push(...lapsed.flatMap((step) => stepEvents('step.lease.lapsed', step, current)));
    }
    if (run.deadlineAt !== null && Date.parse(run.deadlineAt) <= Date.parse(run.now) && isOpen(current)) {
      const failed = await failRun(tx, current, { reason: 'the run took longer than it may', actor });
      return { run: { ...failed.run, now: run.now }, events: [...events, ...failed.events], jobs };
    }
    for (const step of await findOverdue(tx, current)) {
      // What the step before it led to has changed the run.
      current = await lockRun(tx, run.tenantId, run.id);
      if (!isOpen(current)) return { run: current, events, jobs };
      const outcome =
        step.status === 'leased'
          ? await handleFailure(
              { tx, run: current, step, error: step.timedOut ? timeoutError : lapsedError, subject: actor },
              { ended, failRun },
            )
          : await failBlocked(tx, current, step, { reason: 'nobody decided about it in time', actor });
      events.push(...outcome.events);
      jobs.push(...outcome.jobs);
      current = await lockRun(tx, run.tenantId, run.id);
    }
    if (!isOpen(current)) return { run: current, events, jobs };
    const finished = await settleFinishing(tx, current);
    if (finished.length > 0) {
      const outcome = await ended(tx, current, finished, { released: 0, actor });
      current = { ...outcome.run, now: run.now };
      events.push(...outcome.events);
      jobs.push(...outcome.jobs);
    }
    return { run: current, events, jobs };
  }

  /** @throws {LEASE_LOST} {EXECUTION_NOT_ACTIVE} {NOT_FOUND} {PERMISSION_DENIED} */
  async function requireLease(tx: SqlTransaction, principal: Principal, key: LeaseKey) {
    const [run] = await Promise.all([
      lockRun(tx, principal.tenantId, key.executionId),
      requireVisible(tx, principal, 'execution', key.executionId),
    ]);
    const step = await findRunStep(tx, run, key.stepId);
    if (!step) throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['lease', 'stepId'] });
    if (!isOpen(run)) throw notActive(run);
    if (step.status !== 'leased' || step.leaseEpoch !== key.epoch || step.lapsed) {
      throw new PlatformError(
        'LEASE_LOST',
        step.lapsed && step.leaseEpoch === key.epoch
          ? `the lease ended at ${step.leaseUntil}`
          : `expected the fencing token of an open lease, got epoch ${key.epoch}; the latest is ${step.leaseEpoch}`,
        { path: ['lease', 'epoch'], details: { epoch: key.epoch, latestEpoch: step.leaseEpoch } },
      );
    }
    if (step.leaseSubject !== principal.subject && !hasScope(principal, 'plan:admin'))
      throw new PlatformError('PERMISSION_DENIED', 'the lease is held by another', { path: ['lease'] });
    return { run, step };
  }

  return {
    settle,
    failRun,
    cancelRun,
    movePlan,
    ended,

    /** @throws {NOT_FOUND} {EXECUTION_NOT_ACTIVE} when the run has ended. */
    claim(
      scope: RequestScope,
      raw: Readonly<Record<string, unknown>> & { readonly idempotencyKey?: string | null | undefined },
    ): Promise<LeaseResponse> {
      const { idempotencyKey, ...input } = raw;
      const given = parseInput(inputs.claim, { ...input, agentId: input['agentId'] ?? scope.principal.subject }, []);
      const { subject, tenantId } = scope.principal;
      return commands.run<LeaseResponse>(
        scope,
        { operation: 'claimStep', input: given, idempotencyKey },
        async (tx) => {
          const [locked] = await Promise.all([
            lockRun(tx, tenantId, given.executionId),
            requireVisible(tx, scope.principal, 'execution', given.executionId),
          ]);
          if (!isOpen(locked)) throw notActive(locked);
          const { run, events, jobs } = await settle(tx, locked, subject);
          const nothing = { response: { executionId: run.id, stepId: null, epoch: 0 }, events, jobs };
          if (run.status !== 'RUNNING' || run.runningSteps >= run.maxConcurrent) return nothing;
          const limits = run.policy.resources;
          const bounded = Object.keys(limits).length > 0;
          const candidates = await findClaimable(tx, run, { ...given, limit: bounded ? 100 : 1 });
          const inUse = bounded ? sumDemands(await findHolders(tx, run)) : new Map<string, number>();
          const chosen = candidates.find(({ demands }) =>
            demands.every(
              ({ resourceId, amount }) => (inUse.get(resourceId) ?? 0) + amount <= (limits[resourceId] ?? 0),
            ),
          );
          if (!chosen) return nothing;
          const step = await changeRunStep(
            tx,
            run,
            chosen.stepId,
            `status = 'leased', attempt = attempt + 1, lease_epoch = lease_epoch + 1, lease_owner = $4, lease_subject = $5, retry_at = NULL, error = NULL,
           lease_until = clock_timestamp() + $6 * interval '1 millisecond', started_at = COALESCE(started_at, clock_timestamp()),
           overdue_at = clock_timestamp() + timeout_ms * interval '1 millisecond'`,
            [given.agentId, subject, given.leaseMs ?? run.leaseMs],
          );
          const [, after] = await Promise.all([
            mirrorSteps(tx, [step]),
            changeRun(tx, run, 'running_steps = running_steps + 1'),
            // Start-to-start and start-to-finish relations run from here.
            recountSuccessors(tx, run, [step.stepId]),
          ]);
          return {
            response: { executionId: run.id, stepId: step.stepId, epoch: step.leaseEpoch },
            events: [...events, ...stepEvents('step.started', step, after)],
            jobs,
          };
        },
      );
    },

    /** Extends the lease and answers whether the run is paused. @throws {LEASE_LOST} {EXECUTION_NOT_ACTIVE} */
    report(
      scope: RequestScope,
      rawLease: unknown,
      options: { readonly progress?: number | null | undefined; readonly idempotencyKey?: string | null | undefined },
    ): Promise<LeaseResponse & { readonly paused: boolean }> {
      const key = parseInput(inputs.lease, rawLease, ['lease']);
      const progress = parseInput(inputs.progress, options.progress, ['progress']) ?? null;
      const call = {
        operation: 'reportStepProgress',
        input: { key, progress },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const { run } = await requireLease(tx, scope.principal, key);
        const step = await changeRunStep(
          tx,
          run,
          key.stepId,
          `lease_until = GREATEST(lease_until, clock_timestamp() + $4 * interval '1 millisecond'), progress = COALESCE($5, progress)`,
          [run.leaseMs, progress],
        );
        if (progress !== null) await mirrorSteps(tx, [step]);
        return {
          response: { ...key, paused: run.status === 'PAUSED' },
          events: progress === null ? [] : stepEvents('step.progress', step, run),
        };
      });
    },

    /** @throws {LEASE_LOST} {EXECUTION_NOT_ACTIVE} {NOT_FOUND} */
    complete(
      scope: RequestScope,
      rawLease: unknown,
      options: { readonly result?: unknown; readonly idempotencyKey?: string | null | undefined },
    ): Promise<LeaseResponse> {
      const key = parseInput(inputs.lease, rawLease, ['lease']);
      const result = parseInput(inputs.stepResult, options.result ?? null, ['result']);
      const call = { operation: 'completeStep', input: { key, result }, idempotencyKey: options.idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const { run, step: before } = await requireLease(tx, scope.principal, key);
        const held =
          before.finishWaits > 0 || (before.finishAt !== null && Date.parse(before.finishAt) > Date.parse(run.now));
        const step = await changeRunStep(
          tx,
          run,
          key.stepId,
          `status = $4, result = $5::text::jsonb, progress = 1, lease_until = NULL, finished_at = CASE WHEN $4 = 'completed' THEN clock_timestamp() END`,
          [held ? 'finishing' : 'completed', JSON.stringify(result)],
        );
        const outcome = await ended(tx, run, [step], { released: 1, actor: scope.principal.subject });
        const jobs = held && before.finishWaits === 0 ? [settleJob(run, step.stepId, before.finishAt!)] : [];
        return { response: key, events: outcome.events, jobs: [...outcome.jobs, ...jobs] };
      });
    },

    /** @throws {LEASE_LOST} {EXECUTION_NOT_ACTIVE} {NOT_FOUND} */
    fail(
      scope: RequestScope,
      rawLease: unknown,
      options: { readonly error: unknown; readonly idempotencyKey?: string | null | undefined },
    ): Promise<LeaseResponse> {
      const key = parseInput(inputs.lease, rawLease, ['lease']);
      const error = parseInput(inputs.stepError, options.error, ['error']);
      const call = { operation: 'failStep', input: { key, error }, idempotencyKey: options.idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const { run, step } = await requireLease(tx, scope.principal, key);
        const outcome = await handleFailure(
          { tx, run, step, error, subject: scope.principal.subject },
          { ended, failRun },
        );
        return { response: key, ...outcome };
      });
    },

    /** A person's decision about a blocked step. @throws {INVALID_STATE} {NOT_FOUND} {EXECUTION_NOT_ACTIVE} */
    async resolve(
      tx: SqlTransaction,
      target: {
        readonly tenantId: string;
        readonly executionId: string;
        readonly stepId: string;
        readonly actor: string;
      },
      { resolution, reason }: { readonly resolution: 'RETRY' | 'SKIP' | 'FAIL'; readonly reason: string | null },
    ): Promise<{ readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
      const { actor } = target;
      const run = await lockRun(tx, target.tenantId, target.executionId);
      const step = await findRunStep(tx, run, target.stepId);
      if (!step) throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
      if (!isOpen(run)) throw notActive(run);
      if (step.status !== 'blocked')
        throw new PlatformError('INVALID_STATE', `expected a blocked step, it is ${step.status.toUpperCase()}`, {
          path: ['stepId'],
        });
      if (resolution === 'RETRY') {
        const again = await changeRunStep(tx, run, step.stepId, `status = 'pending', failures = 0, retry_at = NULL`);
        await mirrorSteps(tx, [again]);
        return { events: stepEvents('step.unblocked', again, run, { reason }), jobs: [] };
      }
      if (resolution === 'SKIP') {
        const skipped = await changeRunStep(
          tx,
          run,
          step.stepId,
          `status = 'skipped', finished_at = clock_timestamp()`,
        );
        return ended(tx, run, [skipped], { released: 0, actor });
      }
      return failBlocked(tx, run, step, { reason, actor });
    },

    /** Leases that lapsed, timed ends and deadlines of all runs: after a crash this is what goes on. */
    async sweep(): Promise<number> {
      const due = (await sql.unsafe(
        `SELECT DISTINCT tenant_id AS "tenantId", execution_id AS "executionId" FROM (
           (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status = 'leased' AND lease_until < now() LIMIT 500)
           UNION ALL (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status IN ('leased', 'blocked') AND overdue_at < now() LIMIT 500)
           UNION ALL (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status = 'finishing' AND finish_waits = 0 AND finish_at <= now() LIMIT 500)
           UNION ALL (SELECT tenant_id, id FROM plan.execution WHERE status IN ('RUNNING', 'PAUSED') AND deadline_at <= now() LIMIT 500)) d`,
        [],
        { prepare: true },
      )) as unknown as { tenantId: string; executionId: string }[];
      for (const { tenantId, executionId } of due) await this.settleOne(tenantId, executionId);
      return due.length;
    },

    async settleOne(tenantId: string, executionId: string): Promise<void> {
      await commands.runAs(tenantId, 'system', async (tx) => {
        const run = await lockRun(tx, tenantId, executionId);
        if (!isOpen(run)) return { response: null };
        const { events, jobs } = await settle(tx, run, 'system');
        return { response: null, events, jobs };
      });
    },
  };
}

export function isOpen({ status }: PlanExecutionRow): boolean {
  return status === 'RUNNING' || status === 'PAUSED';
}

export function notActive({ status }: PlanExecutionRow): PlatformError {
  return new PlatformError('EXECUTION_NOT_ACTIVE', `the execution is ${status}`, {
    path: ['executionId'],
    details: { status },
  });
}

function settleJob(run: PlanExecutionRow, stepId: string, at: string): NewJob {
  return {
    task: 'plan.settle',
    payload: { tenantId: run.tenantId, executionId: run.id },
    runAt: new Date(at),
    key: `plan.settle:${run.id}:${stepId}`,
  };
}

function sumDemands(steps: readonly PlanStepExecutionRow[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { demands } of steps)
    for (const { resourceId, amount } of demands) sums.set(resourceId, (sums.get(resourceId) ?? 0) + amount);
  return sums;
}
