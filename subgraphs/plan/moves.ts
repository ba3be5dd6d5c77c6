import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { attributesOf, holds } from '#shared/rights.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { planTarget } from './access.ts';
import { scoreFeasibility } from './analysis/index.ts';
import { askForApproval, toApproval } from './approval.ts';
import { findApprovalRule } from './approvalRules.ts';
import type { Call, Commands } from './commands.ts';
import { rollUpSteps } from './composites.ts';
import { crashStep } from './crashedStep.ts';
import { planEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { summarize } from './network.ts';
import { compareNetworks } from './networkChange.ts';
import { type PlanChanges, requirePlan, touch, type WriteOptions } from './planChanges.ts';
import type { PlanningValue, PlanRow, PlanStatusValue, PlanSummaryValue } from './rows.ts';
import { cancelRun } from './runEnds.ts';
import { lockRun } from './runStore.ts';
import { hasEnded, maxReplans, requireTransition } from './states.ts';
import { changeNetwork, findDependencies, findSteps, removeNetwork, upsertPlans } from './store.ts';

const readReason = (reason: string | null | undefined) =>
  reason == null ? null : parseInput(inputs.reason, reason, ['reason']);

/** A schedule that was found for a plan, by which call and for which version of it. */
interface FoundSchedule {
  readonly call: Call;
  readonly expectedVersion: number | null | undefined;
  readonly version: number;
  /** Starts in milliseconds by step. */
  readonly schedule: Readonly<Record<string, number>>;
  /** Durations of the steps that it shortens. */
  readonly crashed: ReadonlyMap<string, number>;
  readonly found: Omit<PlanningValue, 'feasibility'>;
}

/** Moves of a plan through its states until it runs, and its end. */
export function createPlanMoves(commands: Commands, { change, changeBy }: PlanChanges) {
  function move(
    scope: RequestScope,
    planId: string,
    options: WriteOptions & {
      readonly operation: string;
      readonly to: PlanStatusValue;
      readonly reason?: string | null;
      /** More of the input that a repeat must share. */
      readonly extra?: unknown;
    },
    decide: (
      plan: PlanRow,
      tx: SqlTransaction,
    ) => Promise<{
      readonly change?: Partial<PlanRow>;
      readonly events?: readonly NewEvent[];
    }>,
  ): Promise<string> {
    const { to, reason = null, extra = null } = options;
    return change(scope, planId, { ...options, input: { to, reason, extra } }, async (plan, tx) => {
      requireTransition(plan.status, to);
      const { change: also = {}, events = [] } = await decide(plan, tx);
      return {
        row: touch(plan, scope, { status: to, statusReason: reason, ...also }),
        type: 'plan.status.changed',
        events,
      };
    });
  }

  /** The workflow template that wants an approval of the plan, whatever its author says. */
  const ruleOf = (tx: SqlTransaction, plan: PlanRow, { principal }: RequestScope) =>
    findApprovalRule(tx, plan, attributesOf(principal)?.['department']);

  return {
    propose(
      scope: RequestScope,
      planId: string,
      { approval: raw, ...options }: WriteOptions & { readonly approval?: unknown },
    ): Promise<string> {
      const approval = raw == null ? null : toApproval(parseInput(inputs.approval, raw, ['approval']));
      const { subject, roles } = scope.principal;
      const call = { ...options, operation: 'proposePlan', to: 'proposed', extra: approval } as const;
      return move(scope, planId, call, async (plan, tx) => {
        const requiresApproval = plan.requiresApproval || (await ruleOf(tx, plan, scope)) !== null;
        return {
          change: { requiresApproval },
          events: requiresApproval ? [askForApproval(plan, { subject, role: roles[0], approval })] : [],
        };
      });
    },

    /** @throws {CONFIRM_PENDING} where a person has to approve it, as the plan or a workflow template says. */
    approve(scope: RequestScope, planId: string, options: WriteOptions): Promise<string> {
      return move(scope, planId, { ...options, operation: 'approvePlan', to: 'approved' }, async (plan, tx) => {
        if (plan.requiresApproval || plan.confirmId !== null)
          throw new PlatformError('CONFIRM_PENDING', 'the outcome of a Confirm approves this plan', {
            path: ['planId'],
            details: { confirmId: plan.confirmId },
          });
        const templateId = await ruleOf(tx, plan, scope);
        if (templateId !== null)
          throw new PlatformError(
            'CONFIRM_PENDING',
            'a workflow template wants an approval of such plans: propose it',
            {
              path: ['planId'],
              details: { templateId },
            },
          );
        return {};
      });
    },

    revise(
      scope: RequestScope,
      planId: string,
      { reason, ...options }: WriteOptions & { readonly reason?: string | null | undefined },
    ): Promise<string> {
      const note = readReason(reason);
      return change(
        scope,
        planId,
        { ...options, operation: 'revisePlan', input: { reason: note } },
        async (plan, tx) => {
          requireTransition(plan.status, 'draft');
          if (plan.archivedAt !== null)
            throw new PlatformError('INVALID_STATE', 'the plan is archived', { path: ['planId'] });
          const failed = plan.status === 'failed';
          if (failed && plan.replans >= maxReplans)
            throw new PlatformError('INVALID_STATE', `the plan was planned anew ${maxReplans} times`, {
              path: ['planId'],
            });
          if (failed) {
            await tx.unsafe(
              `UPDATE plan.step SET status = 'pending', progress = 0, result = NULL, error = NULL, retry_count = 0, started_at = NULL, completed_at = NULL WHERE tenant_id = $1 AND plan_id = $2`,
              [plan.tenantId, planId],
              { prepare: true },
            );
          }
          return {
            row: touch(plan, scope, {
              status: 'draft',
              // An outcome of what was asked before comes too late: proposing the plan asks anew.
              confirmId: null,
              statusReason: note,
              replans: plan.replans + (failed ? 1 : 0),
            }),
            type: 'plan.status.changed',
          };
        },
      );
    },

    /** @throws {PERMISSION_DENIED} unless its author or plan:admin asks. */
    async cancel(
      scope: RequestScope,
      planId: string,
      { reason, ...options }: WriteOptions & { readonly reason?: string | null | undefined },
    ): Promise<string> {
      const note = readReason(reason);
      const call = { operation: 'cancelPlan', input: { planId, reason: note }, idempotencyKey: options.idempotencyKey };
      const response = await commands.run(scope, call, async (tx) => {
        const { tenantId, subject } = scope.principal;
        // Locks are taken in one order: the run's before the plan's.
        const [active] = isId(planId)
          ? ((await tx.unsafe(
              `SELECT id FROM plan.execution WHERE tenant_id = $1 AND plan_id = $2 AND status IN ('RUNNING', 'PAUSED')`,
              [tenantId, planId],
              { prepare: true },
            )) as unknown as { id: string }[])
          : [];
        const run = active ? await lockRun(tx, tenantId, active.id) : null;
        const plan = await requirePlan(tx, scope, planId, options.expectedVersion);
        if (
          plan.createdBy !== subject &&
          !holds(scope.principal, 'plan:admin', planTarget({ contextId: plan.contextId, planId }))
        )
          throw new PlatformError('PERMISSION_DENIED', 'only its author cancels a plan', { path: ['planId'] });
        requireTransition(plan.status, 'cancelled');
        const audit = [{ action: 'plan.cancelPlan', resource: 'Plan', resourceId: planId }];
        if (run && (run.status === 'RUNNING' || run.status === 'PAUSED')) {
          const { events } = await cancelRun(tx, run, { reason: note, actor: subject });
          return { response: { planId }, events, audit };
        }
        const row = touch(plan, scope, { status: 'cancelled', confirmId: null, statusReason: note });
        await upsertPlans(tx, [row], 'upsert');
        return {
          response: { planId },
          events: [planEvent('plan.status.changed', row, { status: [plan.status, row.status] })],
          audit,
        };
      });
      return response.planId;
    },

    /** @throws {INVALID_STATE} unless it has ended, {INVALID_STATE_TRANSITION} where it is that already. */
    archive(scope: RequestScope, planId: string, archived: boolean, options: WriteOptions): Promise<string> {
      const operation = archived ? 'archivePlan' : 'unarchivePlan';
      return change(scope, planId, { ...options, operation, input: null }, async (plan) => {
        if (!hasEnded(plan.status))
          throw new PlatformError(
            'INVALID_STATE',
            `expected a plan that has ended, it is ${plan.status.toUpperCase()}`,
            { path: ['planId'] },
          );
        if ((plan.archivedAt !== null) === archived)
          throw new PlatformError('INVALID_STATE_TRANSITION', `the plan is ${archived ? '' : 'not '}archived`, {
            path: ['planId'],
          });
        const archivedAt = archived ? new Date().toISOString() : null;
        return { row: touch(plan, scope, { archivedAt }), type: archived ? 'plan.archived' : 'plan.unarchived' };
      });
    },

    /** @throws {INVALID_STATE} while it runs. */
    async remove(scope: RequestScope, planId: string, options: WriteOptions): Promise<string> {
      const call = {
        operation: 'deletePlan',
        input: { planId, expectedVersion: options.expectedVersion ?? null },
        idempotencyKey: options.idempotencyKey,
      };
      const response = await commands.run(scope, call, async (tx) => {
        const plan = await requirePlan(tx, scope, planId, options.expectedVersion);
        if (plan.status === 'in_progress')
          throw new PlatformError('INVALID_STATE', 'the plan runs: cancel it first', { path: ['planId'] });
        const parameters = [plan.tenantId, planId];
        for (const table of ['step_execution', 'execution', 'analysis', 'contribution_vote', 'contribution', 'session'])
          await tx.unsafe(`DELETE FROM plan.${table} WHERE tenant_id = $1 AND plan_id = $2`, parameters, {
            prepare: true,
          });
        await removeNetwork(tx, plan.tenantId, planId);
        await tx.unsafe('DELETE FROM plan.plan WHERE tenant_id = $1 AND id = $2', parameters, { prepare: true });
        return {
          response: { planId },
          events: [planEvent('plan.deleted', plan)],
          audit: [{ action: 'plan.deletePlan', resource: 'Plan', resourceId: planId }],
        };
      });
      return response.planId;
    },

    /** Keeps an optimised schedule, and in a draft the steps it shortens. @throws {INVALID_STATE} {VERSION_CONFLICT} */
    applySchedule(
      scope: RequestScope,
      planId: string,
      { schedule, crashed, found, version, call, expectedVersion }: FoundSchedule,
    ): Promise<string> {
      return changeBy(scope, planId, { call, expectedVersion }, async (plan, tx) => {
        requireVersion(version, plan.version);
        if (plan.status !== 'draft' && plan.status !== 'approved')
          throw new PlatformError(
            'INVALID_STATE',
            `expected a draft or approved plan, it is ${plan.status.toUpperCase()}`,
            {
              path: ['input', 'planId'],
            },
          );
        const withFound = (summary: PlanSummaryValue): PlanSummaryValue => ({
          ...summary,
          planning: { ...found, feasibility: scoreFeasibility(summary.reasons) },
        });
        if (crashed.size === 0)
          return { row: touch(plan, scope, { schedule, summary: withFound(plan.summary) }), type: 'plan.updated' };
        if (plan.status !== 'draft')
          throw new PlatformError('INVALID_STATE', 'expected a draft: the schedule shortens steps', {
            path: ['input', 'planId'],
          });
        const [steps, dependencies] = await Promise.all([
          findSteps(tx, plan.tenantId, [planId]),
          findDependencies(tx, plan.tenantId, [planId]),
        ]);
        const shortened = rollUpSteps(
          steps.map((step) => (crashed.has(step.id) ? crashStep(step, crashed.get(step.id)!) : step)),
        );
        const summary = summarize(plan.definition, shortened, dependencies);
        const row = touch(plan, scope, { schedule, summary: withFound(summary) });
        await changeNetwork(tx, row, compareNetworks({ steps, dependencies }, { steps: shortened, dependencies }));
        return { row, type: 'plan.updated' };
      });
    },
  };
}
