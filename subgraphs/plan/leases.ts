import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { NewAudit } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { criteriaOf, judgeCompletion, judgements, reviewsOpen } from './acceptance.ts';
import { requireVisible } from './access.ts';
import { mayUseLease, requireOwnName } from './actingFor.ts';
import { askForReview } from './approval.ts';
import { narrow, openClaimant } from './claimant.ts';
import type { Commands } from './commands.ts';
import type { EndedSource } from './dependencyCondition.ts';
import { createResourceTimes } from './dispatch/index.ts';
import { stepEvents } from './events.ts';
import { handleFailure } from './failure.ts';
import * as inputs from './inputs.ts';
import { calendarsAt } from './planTimes.ts';
import type { PlanStepExecutionRow } from './rows.ts';
import { ended, failRun, isOpen, notActive, settleJob } from './runEnds.ts';
import { countLoads, findPool, isForAnother, noteOffers, offerMs, requireFree, requireMember } from './runPool.ts';
import { rollUpRun, splitByEnd } from './runRollUp.ts';
import { settle } from './runSettling.ts';
import {
  type ClaimableStep,
  changeRun,
  changeRunStep,
  findClaimable,
  findDetails,
  findHolders,
  findRunStep,
  lockRun,
  mirrorSteps,
  recountSuccessors,
} from './runStore.ts';

export interface LeaseKey {
  readonly executionId: string;
  readonly stepId: string;
  readonly epoch: number;
}

export interface LeaseResponse {
  readonly executionId: string;
  readonly stepId: string | null;
  readonly epoch: number;
  /** When what is ready stops being kept for others, ms. */
  readonly retryAfterMs?: number;
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
  if (!mayUseLease(principal, { ...run, holder: step.leaseOwner }))
    throw new PlatformError('PERMISSION_DENIED', 'the lease is held by another', { path: ['lease'] });
  return { run, step, audit: auditOf(principal, step.leaseOwner, step) };
}

/** What is done in another's name stands in the audit trail beside the name. */
function auditOf(
  principal: Principal,
  agentId: string | null,
  { executionId, stepId }: { readonly executionId: string; readonly stepId: string },
): NewAudit[] {
  if (agentId === principal.subject) return [];
  const detail = { stepId, agentId };
  return [{ action: 'plan.actFor', resource: 'PlanExecution', resourceId: executionId, detail }];
}

/** What agents do with steps: each under a lease whose epoch is its fencing token. */
export function createLeases(runtime: Pick<ModuleRuntime, 'authorizer' | 'sql'>, commands: Commands) {
  return {
    /**
     * Hands out a step that asks for no role and capability but those of the caller. Where the run has a pool, to its members
     * alone, as far as they have room, and first to the least loaded of those who can.
     * @throws {NOT_FOUND} {EXECUTION_NOT_ACTIVE} when the run has ended. @throws {AGENT_NOT_IN_POOL} {AGENT_UNAVAILABLE} {AGENT_AT_CAPACITY}
     * @throws {PERMISSION_DENIED} when it is for another agent and the caller does not administer the plan.
     */
    async claim(
      scope: RequestScope,
      raw: Readonly<Record<string, unknown>> & { readonly idempotencyKey?: string | null | undefined },
    ): Promise<LeaseResponse> {
      const { idempotencyKey, ...input } = raw;
      const given = parseInput(inputs.claim, { ...input, agentId: input['agentId'] ?? scope.principal.subject }, []);
      const { subject, tenantId } = scope.principal;
      // Before the transaction: what has to be read for it takes a connection of its own.
      const agent = await requireOwnName(runtime, scope.principal, given);
      const claimant = await openClaimant(runtime.authorizer, agent, given);
      return commands.run<LeaseResponse>(
        scope,
        { operation: 'claimStep', input: given, idempotencyKey },
        async (tx) => {
          const [locked] = await Promise.all([
            lockRun(tx, tenantId, given.executionId),
            requireVisible(tx, scope.principal, 'execution', given.executionId),
          ]);
          if (!isOpen(locked)) throw notActive(locked);
          const pool = locked.policy.pooled === true ? await findPool(tx, locked) : null;
          const member = pool && requireMember(pool, given.agentId);
          const { run, events, jobs } = await settle(tx, locked, subject);
          const nothing = { response: { executionId: run.id, stepId: null, epoch: 0 }, events, jobs };
          if (run.status !== 'RUNNING' || run.runningSteps >= run.maxConcurrent) return nothing;
          const [started, now] = [Date.parse(run.startedAt), Date.parse(run.now)];
          const sinceStart = now - started;
          const limits = run.policy.resources;
          const bounded = Object.keys(limits).length > 0;
          const held = bounded || member ? await findHolders(tx, run) : [];
          const loads = countLoads(held);
          if (member) requireFree(member, loads, sinceStart);
          const roles = await claimant.rolesIn(run.contextId);
          const candidates = await findClaimable(tx, run, {
            agentId: given.agentId,
            capabilities: member ? narrow(member.capabilities, claimant.capabilities) : (claimant.capabilities ?? []),
            roles: member ? narrow(roles, member.roles ?? []) : roles,
            withinMs: member?.availableUntil === undefined ? null : member.availableUntil - sinceStart,
            limit: bounded || member ? 100 : 1,
          });
          const inUse = sumDemands(bounded ? held : []);
          const lengthMs = candidates.reduce((longest, { durationMs }) => Math.max(longest, durationMs), 0);
          const times = createResourceTimes(calendarsAt(run.policy.calendars ?? [], { started, now, lengthMs }));
          const used = (resourceId: string) => inUse.get(resourceId) ?? 0;
          const hasRoom = ({ demands, durationMs }: ClaimableStep) =>
            demands.every(({ resourceId, amount }) => used(resourceId) + amount <= (limits[resourceId] ?? 0)) &&
            times?.allow(demands, { now: sinceStart, duration: durationMs, inUse: used }) !== false;
          const kept: ClaimableStep[] = [];
          const chosen = candidates.find((step) => {
            if (!hasRoom(step)) return false;
            if (!pool || !member || (step.offeredMs ?? 0) >= offerMs) return true;
            if (!isForAnother(requirementOf(step), member, { pool, loads, sinceStart })) return true;
            kept.push(step);
            return false;
          });
          if (!chosen) {
            await noteOffers(
              tx,
              run,
              kept.map(({ stepId }) => stepId),
            );
            if (kept.length === 0) return nothing;
            const retryAfterMs = Math.ceil(Math.min(...kept.map(({ offeredMs }) => offerMs - (offeredMs ?? 0))));
            return { ...nothing, response: { ...nothing.response, retryAfterMs } };
          }
          const step = await changeRunStep(
            tx,
            run,
            chosen.stepId,
            `status = 'leased', attempt = attempt + 1, lease_epoch = lease_epoch + 1, lease_owner = $4, lease_subject = $5, retry_at = NULL, offered_at = NULL, error = NULL,
           lease_until = clock_timestamp() + $6 * interval '1 millisecond', started_at = COALESCE(started_at, clock_timestamp()),
           overdue_at = clock_timestamp() + timeout_ms * interval '1 millisecond'`,
            [agent.subject, agent.subject, given.leaseMs ?? run.leaseMs],
          );
          const rolled = await rollUpRun(tx, [step]);
          const { begun } = splitByEnd(rolled);
          const [, after] = await Promise.all([
            mirrorSteps(tx, [step, ...rolled]),
            changeRun(tx, run, 'running_steps = running_steps + 1'),
            // Start-to-start and start-to-finish relations run from here.
            run.policy.startBound === false
              ? []
              : recountSuccessors(
                  tx,
                  run,
                  [step, ...begun].map(({ stepId }) => stepId),
                ),
          ]);
          return {
            response: { executionId: run.id, stepId: step.stepId, epoch: step.leaseEpoch },
            events: [...events, ...[...begun, step].flatMap((entry) => stepEvents('step.started', entry, after))],
            audit: auditOf(scope.principal, agent.subject, step),
            jobs,
          };
        },
      );
    },

    /** Extends the lease and answers whether the run is paused. @throws {LEASE_LOST} {EXECUTION_NOT_ACTIVE} */
    report(
      scope: RequestScope,
      rawLease: unknown,
      options: {
        readonly progress?: number | null | undefined;
        readonly state?: unknown;
        readonly idempotencyKey?: string | null | undefined;
      },
    ): Promise<LeaseResponse & { readonly paused: boolean }> {
      const key = parseInput(inputs.lease, rawLease, ['lease']);
      const progress = parseInput(inputs.progress, options.progress, ['progress']) ?? null;
      const state = parseInput(inputs.stepState, options.state, ['state']) ?? null;
      const call = {
        operation: 'reportStepProgress',
        // As calls without a state were kept.
        input: { key, progress, ...(state === null ? {} : { state }) },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const { run, audit } = await requireLease(tx, scope.principal, key);
        const step = await changeRunStep(
          tx,
          run,
          key.stepId,
          `lease_until = GREATEST(lease_until, clock_timestamp() + $4 * interval '1 millisecond'), progress = COALESCE($5, progress), state = COALESCE($6::text::jsonb, state)`,
          [run.leaseMs, progress, state === null ? null : JSON.stringify(state)],
        );
        if (progress !== null) await mirrorSteps(tx, [step]);
        return {
          response: { ...key, paused: run.status === 'PAUSED' },
          events: progress === null ? [] : stepEvents('step.progress', step, run),
          audit,
        };
      });
    },

    /**
     * A step whose reviews are required ends with the last of them.
     * @throws {ACCEPTANCE_NOT_MET} {LEASE_LOST} {EXECUTION_NOT_ACTIVE} {NOT_FOUND}
     */
    complete(
      scope: RequestScope,
      rawLease: unknown,
      options: {
        readonly result?: unknown;
        readonly criteria?: unknown;
        readonly idempotencyKey?: string | null | undefined;
      },
    ): Promise<LeaseResponse> {
      const key = parseInput(inputs.lease, rawLease, ['lease']);
      const result = parseInput(inputs.stepResult, options.result ?? null, ['result']);
      const given = options.criteria == null ? null : parseInput(judgements, options.criteria, ['criteria']);
      const call = {
        operation: 'completeStep',
        // As calls without criteria were kept.
        input: { key, result, ...(given === null ? {} : { criteria: given }) },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const { subject } = scope.principal;
        const { run, step: before, audit } = await requireLease(tx, scope.principal, key);
        const criteria = criteriaOf(await findDetails(tx, before));
        const found = judgeCompletion(criteria, endedNow(before, result, run.now), {
          ...{ given: given ?? [], by: subject, at: run.now },
        });
        const waiting = reviewsOpen(criteria, found);
        const reviews = waiting.length;
        const bound =
          before.finishWaits > 0 || (before.finishAt !== null && Date.parse(before.finishAt) > Date.parse(run.now));
        const held = bound || reviews > 0;
        const step = await changeRunStep(
          tx,
          run,
          key.stepId,
          `status = $4, result = $5::text::jsonb, progress = 1, lease_until = NULL, finished_at = CASE WHEN $4 = 'completed' THEN clock_timestamp() END,
           criteria = $6::text::jsonb, open_reviews = $7, lease_subject = $8`,
          [held ? 'finishing' : 'completed', JSON.stringify(result), JSON.stringify(found), reviews, subject],
        );
        const outcome = await ended(tx, run, [step], { released: 1, actor: subject });
        const asked =
          reviews > 0
            ? [...stepEvents('step.review.requested', step, outcome.run), askForReview(step, outcome.run, waiting)]
            : [];
        const jobs = bound && before.finishWaits === 0 ? [settleJob(run, step.stepId, before.finishAt!)] : [];
        return { response: key, events: [...outcome.events, ...asked], audit, jobs: [...outcome.jobs, ...jobs] };
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
        const { run, step, audit } = await requireLease(tx, scope.principal, key);
        const outcome = await handleFailure(
          { tx, run, step, error, subject: scope.principal.subject },
          { ended, failRun },
        );
        return { response: key, ...outcome, audit };
      });
    },
  };
}

/** The step as it would end now. */
const endedNow = (step: PlanStepExecutionRow, result: unknown, now: string): EndedSource => ({
  ...{ status: 'COMPLETED', result, attempts: step.attempt, failures: step.failures },
  durationMs: step.startedAt === null ? null : Date.parse(now) - Date.parse(step.startedAt),
});

const requirementOf = ({ capabilities, agents, agentRole, durationMs }: ClaimableStep) => ({
  ...{ capabilities, durationMs, role: agentRole ?? undefined },
  agents: agents.length === 0 ? undefined : agents,
});

function sumDemands(steps: readonly PlanStepExecutionRow[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { demands } of steps)
    for (const { resourceId, amount } of demands) sums.set(resourceId, (sums.get(resourceId) ?? 0) + amount);
  return sums;
}
