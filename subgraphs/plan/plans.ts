import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import {
  findIdempotentResponses,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { isId, newId } from '#shared/ids.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import { hasScope } from '#shared/principal.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { askForApproval, toApproval } from './approval.ts';
import { type Commands, toIdempotentCall } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { planEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { requireNetwork, summarize, toDependency, toStep } from './network.ts';
import { compareNetworks, type Network, tellChange } from './networkChange.ts';
import type { FailurePolicy, PlanDefinition, PlanRow, PlanStatusValue, PlanStepRow } from './rows.ts';
import { lockRun } from './runStore.ts';
import type { Runs } from './runs.ts';
import { maxReplans, requireTransition } from './states.ts';
import {
  changeNetwork,
  findDependencies,
  findSteps,
  insertDependencies,
  insertSteps,
  lockPlan,
  removeNetwork,
  upsertPlans,
} from './store.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

interface Creation extends Network {
  readonly scope: RequestScope;
  readonly plan: PlanRow;
  readonly idempotent: IdempotentCall | null;
}

export const defaultFailurePolicy: FailurePolicy = {
  strategies: ['RETRY', 'MANUAL_INTERVENTION'],
  maxAttempts: 3,
  delayMs: 1_000,
  backoffFactor: 2,
  maxDelayMs: 60_000,
  rollbackDepth: 1,
};
const defaultConcurrency = 50;

/** Fields beyond the columns; what a patch does not name stays. */
function mergeDefinition(given: inputs.PlanPatch, before: PlanDefinition): PlanDefinition {
  const { strategies, ...numbers } = given.failureResolver ?? {};
  const set = <T extends object>(values: T) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  const { objectives, constraints, timeline, milestones, optimization, customData } = given;
  return {
    ...before,
    ...set({ objectives, constraints, timeline, milestones, optimization, customData }),
    ...(given.resources === undefined ? {} : { resources: given.resources ?? [] }),
    ...(given.risks === undefined ? {} : { risks: given.risks ?? [] }),
    ...(given.deadlineMs === undefined ? {} : { deadlineMs: given.deadlineMs }),
    ...(given.maxConcurrentTasks == null ? {} : { maxConcurrentTasks: given.maxConcurrentTasks }),
    ...(given.approval === undefined
      ? {}
      : { approval: given.approval === null ? undefined : toApproval(given.approval) }),
    failureResolver: {
      ...before.failureResolver,
      ...(strategies == null ? {} : { strategies }),
      ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value != null)),
    },
  };
}

export const emptyDefinition: PlanDefinition = {
  resources: [],
  deadlineMs: null,
  risks: [],
  failureResolver: defaultFailurePolicy,
  maxConcurrentTasks: defaultConcurrency,
};

export type Plans = ReturnType<typeof createPlans>;

/** Plans until they run: created, edited as drafts, proposed, approved, taken back. */
export function createPlans(
  runtime: ModuleRuntime,
  { commands, contexts, runs }: { readonly commands: Commands; readonly contexts: Contexts; readonly runs: Runs },
) {
  const { sql, publisher, config } = runtime;

  async function insertAll(items: readonly Creation[]): Promise<readonly (string | Error)[]> {
    const stored = await findIdempotentResponses(
      sql,
      'plan',
      items.map(({ idempotent }) => idempotent),
    );
    const results: (string | Error | undefined)[] = stored.map((found) =>
      found === undefined || found instanceof Error ? found : (found.response as { planId: string }).planId,
    );
    const fresh = items.filter((_, index) => results[index] === undefined);
    if (fresh.length > 0) {
      const events = await sql.begin(async (tx) => {
        await upsertPlans(
          tx,
          fresh.map(({ plan }) => plan),
          'insert',
        );
        const [appended] = await Promise.all([
          appendChange(
            tx,
            'plan',
            fresh.map(({ plan, dependencies, scope, idempotent }) => ({
              tenantId: plan.tenantId,
              actor: scope.principal.subject,
              traceparent: scope.traceparent,
              events: [planEvent('plan.created', plan, { dependencyCount: dependencies.length })],
              audit: [{ action: 'plan.create', resource: 'Plan', resourceId: plan.id }],
              idempotency: idempotencyRecord(idempotent, { planId: plan.id }),
            })),
          ),
          insertSteps(
            tx,
            fresh.flatMap(({ steps }) => steps),
          ),
          insertDependencies(
            tx,
            fresh.flatMap(({ dependencies }) => dependencies),
          ),
        ]);
        return appended;
      });
      for (const [index, { scope }] of fresh.entries()) await publisher.published([events[index]!], scope);
    }
    return items.map(({ plan }, index) => results[index] ?? plan.id);
  }

  /** Group commit; two calls with one key in a batch, or a race, are settled one by one. */
  const creator: Batcher<Creation, string> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(items) {
      try {
        return await transactionRetry.execute(() => insertAll(items));
      } catch (error) {
        if (items.length === 1 && !isIdempotencyRace(error)) throw error;
        const results: (string | Error)[] = [];
        for (const item of items) {
          try {
            results.push((await transactionRetry.execute(() => insertAll([item])))[0]!);
          } catch (alone) {
            results.push(alone instanceof Error ? alone : new Error(String(alone)));
          }
        }
        return results;
      }
    },
  });

  /** @throws {NOT_FOUND} {VERSION_CONFLICT} */
  async function requirePlan(tx: SqlTransaction, scope: RequestScope, planId: string, expected?: number | null) {
    const [plan] = isId(planId)
      ? await Promise.all([
          lockPlan(tx, scope.principal.tenantId, planId),
          requireVisible(tx, scope.principal, 'plan', planId),
        ])
      : [null];
    if (!plan) throw unknownPlan();
    requireVersion(expected, plan.version);
    return plan;
  }

  function touch(plan: PlanRow, scope: RequestScope, change: Partial<PlanRow>): PlanRow {
    return {
      ...plan,
      ...change,
      version: plan.version + 1,
      updatedAt: new Date().toISOString(),
      updatedBy: scope.principal.subject,
    };
  }

  /** One change of a plan under its lock. */
  function change(
    scope: RequestScope,
    planId: string,
    { operation, input, ...options }: WriteOptions & { readonly operation: string; readonly input: unknown },
    decide: (
      plan: PlanRow,
      tx: SqlTransaction,
    ) => Promise<{
      readonly row: PlanRow;
      readonly type: string;
      readonly changes?: Readonly<Record<string, unknown>>;
      readonly events?: readonly NewEvent[];
    }>,
  ): Promise<string> {
    const call = {
      operation,
      input: { planId, input, expectedVersion: options.expectedVersion ?? null },
      idempotencyKey: options.idempotencyKey,
    };
    return commands
      .run(scope, call, async (tx) => {
        const plan = await requirePlan(tx, scope, planId, options.expectedVersion);
        const { row, type, changes = {}, events = [] } = await decide(plan, tx);
        await upsertPlans(tx, [row], 'upsert');
        return {
          response: { planId },
          events: [planEvent(type, row, { status: [plan.status, row.status], operation, ...changes }), ...events],
          audit: [{ action: `plan.${operation}`, resource: 'Plan', resourceId: planId }],
        };
      })
      .then((response) => response.planId);
  }

  /** Edits of a draft's network; checked as a whole before anything is stored. */
  function edit(
    scope: RequestScope,
    planId: string,
    options: WriteOptions & { readonly operation: string; readonly input: unknown },
    decide: (network: Network, plan: PlanRow) => Partial<Network> & { readonly plan?: Partial<PlanRow> },
  ): Promise<string> {
    return change(scope, planId, options, async (plan, tx) => {
      if (plan.status !== 'draft')
        throw new PlatformError('PLAN_NOT_EDITABLE', `expected a draft, the plan is ${plan.status.toUpperCase()}`, {
          path: ['planId'],
        });
      const [steps, dependencies] = await Promise.all([
        findSteps(tx, plan.tenantId, [planId]),
        findDependencies(tx, plan.tenantId, [planId]),
      ]);
      const before = { steps, dependencies };
      const { plan: fields = {}, ...changed } = decide(before, plan);
      const network = { ...before, ...changed };
      const moved = Object.keys(changed).length > 0;
      if (moved) requireNetwork(network.steps, network.dependencies, ['planId']);
      const definition = fields.definition ?? plan.definition;
      const row = touch(plan, scope, {
        ...fields,
        stepCount: network.steps.length,
        summary: summarize(definition, network.steps, network.dependencies),
        schedule: null,
      });
      if (!moved) return { row, type: 'plan.updated' };
      const difference = compareNetworks(before, network);
      await changeNetwork(tx, row, difference);
      return { row, type: 'plan.updated', changes: { network: tellChange(difference) } };
    });
  }

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
    decide: (plan: PlanRow) => {
      readonly change?: Partial<PlanRow>;
      readonly events?: readonly NewEvent[];
    } = () => ({}),
  ): Promise<string> {
    const { to, reason = null, extra = null } = options;
    return change(scope, planId, { ...options, input: { to, reason, extra } }, async (plan) => {
      requireTransition(plan.status, to);
      const { change: also = {}, events = [] } = decide(plan);
      return {
        row: touch(plan, scope, { status: to, statusReason: reason, ...also }),
        type: 'plan.status.changed',
        events,
      };
    });
  }

  const readReason = (reason: string | null | undefined) =>
    reason == null ? null : parseInput(inputs.reason, reason, ['reason']);

  return {
    drain: () => creator.drain(),

    /** @throws {CYCLIC_DEPENDENCY} {PLAN_CREATION_FAILED} {NOT_FOUND} {CONTEXT_NOT_ACTIVE} {VALIDATION_FAILED} */
    async create(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.createPlan, raw, ['input']);
      const { tenantId, subject } = scope.principal;
      await contexts.requireOpen(scope.principal, input.contextId);
      const planId = newId();
      const now = new Date().toISOString();
      const steps = input.steps.map((step, place) => toStep(step, { tenantId, planId, place }));
      const implied = input.steps.flatMap((step, place) =>
        (step.dependsOn ?? []).map((sourceId) => ({ sourceId, targetId: steps[place]!.id })),
      );
      const dependencies = [...(input.dependencies ?? []), ...implied].map((given, place) =>
        toDependency(given, { tenantId, planId, place }),
      );
      requireNetwork(steps, dependencies, ['input', 'dependencies']);
      const definition = mergeDefinition(input, emptyDefinition);
      const plan: PlanRow = {
        tenantId,
        id: planId,
        contextId: input.contextId,
        title: input.title,
        objective: input.objective,
        status: 'draft',
        type: input.type ?? 'SEQUENTIAL',
        priority: input.priority ?? 'MEDIUM',
        requiresApproval: input.requiresApproval ?? false,
        confirmId: null,
        statusReason: null,
        replans: 0,
        definition,
        summary: summarize(definition, steps, dependencies),
        schedule: null,
        protocol: null,
        stepCount: steps.length,
        version: 1,
        createdAt: now,
        createdBy: subject,
        updatedAt: now,
        updatedBy: subject,
      };
      const idempotent = toIdempotentCall(scope, { operation: 'createPlan', input, idempotencyKey });
      return creator.add({ scope, plan, steps, dependencies, idempotent });
    },

    /** @throws {PLAN_NOT_EDITABLE} {VERSION_CONFLICT} {NOT_FOUND} */
    update(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const patch = parseInput(inputs.planPatch, raw, ['patch']);
      return edit(scope, planId, { ...options, operation: 'updatePlan', input: patch }, (_network, plan) => ({
        plan: {
          title: patch.title ?? plan.title,
          objective: patch.objective ?? plan.objective,
          type: patch.type ?? plan.type,
          priority: patch.priority ?? plan.priority,
          requiresApproval: patch.requiresApproval ?? plan.requiresApproval,
          definition: mergeDefinition(patch, plan.definition),
        },
      }));
    },

    addStep(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const given = parseInput(inputs.step, raw, ['step']);
      return edit(
        scope,
        planId,
        { ...options, operation: 'addStep', input: given },
        ({ steps, dependencies }, plan) => {
          const of = { tenantId: plan.tenantId, planId };
          if (steps.length >= 10_000)
            throw new PlatformError('VALIDATION_FAILED', 'step: expected at most 10000 steps', { path: ['step'] });
          const step = toStep(given, { ...of, place: (steps.at(-1)?.place ?? -1) + 1 });
          const next = (dependencies.at(-1)?.place ?? -1) + 1;
          const implied = (given.dependsOn ?? []).map((sourceId, index) =>
            toDependency({ sourceId, targetId: step.id }, { ...of, place: next + index }),
          );
          return { steps: [...steps, step], dependencies: [...dependencies, ...implied] };
        },
      );
    },

    updateStep(
      scope: RequestScope,
      planId: string,
      { stepId, patch: raw }: { readonly stepId: string; readonly patch: unknown },
      options: WriteOptions,
    ): Promise<string> {
      const patch = parseInput(inputs.stepPatch, raw, ['patch']);
      const input = { stepId, patch };
      return edit(scope, planId, { ...options, operation: 'updateStep', input }, ({ steps }) => {
        const before = requireStep(steps, stepId);
        const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
        const { requiredCapabilities, ...kept } = {
          name: before.name,
          description: before.description,
          type: before.type,
          priority: before.priority,
          agentRole: before.agentRole,
          orderIndex: before.orderIndex,
          durationMs: before.durationMs,
          requiredCapabilities: [...before.capabilities],
          assignedAgents: [...before.assignedAgents],
          ...before.details,
          demands: before.details.demands === undefined ? undefined : [...before.details.demands],
        };
        const merged = {
          ...kept,
          requiredCapabilities,
          ...given,
          id: stepId,
          description: patch.description ?? before.description,
        };
        const changed = toStep(merged, { tenantId: before.tenantId, planId, place: before.place });
        return { steps: steps.map((step) => (step.id === stepId ? { ...changed, protocol: before.protocol } : step)) };
      });
    },

    removeStep(scope: RequestScope, planId: string, stepId: string, options: WriteOptions): Promise<string> {
      return edit(
        scope,
        planId,
        { ...options, operation: 'removeStep', input: { stepId } },
        ({ steps, dependencies }) => {
          requireStep(steps, stepId);
          if (steps.length === 1)
            throw new PlatformError('VALIDATION_FAILED', 'stepId: a plan keeps at least one step', {
              path: ['stepId'],
            });
          return {
            steps: steps.filter((step) => step.id !== stepId),
            dependencies: dependencies.filter(({ sourceId, targetId }) => sourceId !== stepId && targetId !== stepId),
          };
        },
      );
    },

    addDependency(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const given = parseInput(inputs.dependency, raw, ['dependency']);
      return edit(
        scope,
        planId,
        { ...options, operation: 'addDependency', input: given },
        ({ dependencies }, plan) => ({
          dependencies: [
            ...dependencies,
            toDependency(given, {
              tenantId: plan.tenantId,
              planId,
              place: (dependencies.at(-1)?.place ?? -1) + 1,
            }),
          ],
        }),
      );
    },

    removeDependency(
      scope: RequestScope,
      planId: string,
      dependencyId: string,
      options: WriteOptions,
    ): Promise<string> {
      const input = { dependencyId };
      return edit(scope, planId, { ...options, operation: 'removeDependency', input }, ({ dependencies }) => {
        if (!dependencies.some(({ id }) => id === dependencyId))
          throw new PlatformError('NOT_FOUND', 'no such dependency in this plan', { path: ['dependencyId'] });
        return { dependencies: dependencies.filter(({ id }) => id !== dependencyId) };
      });
    },

    propose(
      scope: RequestScope,
      planId: string,
      { approval: raw, ...options }: WriteOptions & { readonly approval?: unknown },
    ): Promise<string> {
      const approval = raw == null ? null : toApproval(parseInput(inputs.approval, raw, ['approval']));
      const { subject, roles } = scope.principal;
      const call = { ...options, operation: 'proposePlan', to: 'proposed', extra: approval } as const;
      return move(scope, planId, call, (plan) => ({
        events: plan.requiresApproval ? [askForApproval(plan, { subject, role: roles[0], approval })] : [],
      }));
    },

    /** @throws {CONFIRM_PENDING} where a person has to approve it. */
    approve(scope: RequestScope, planId: string, options: WriteOptions): Promise<string> {
      return move(scope, planId, { ...options, operation: 'approvePlan', to: 'approved' }, (plan) => {
        if (plan.requiresApproval || plan.confirmId !== null)
          throw new PlatformError('CONFIRM_PENDING', 'the outcome of a Confirm approves this plan', {
            path: ['planId'],
            details: { confirmId: plan.confirmId },
          });
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
        if (plan.createdBy !== subject && !hasScope(scope.principal, 'plan:admin'))
          throw new PlatformError('PERMISSION_DENIED', 'only its author cancels a plan', { path: ['planId'] });
        requireTransition(plan.status, 'cancelled');
        if (run && (run.status === 'RUNNING' || run.status === 'PAUSED')) {
          const { events } = await runs.cancelRun(tx, run, { reason: note, actor: subject });
          return { response: { planId }, events };
        }
        const row = touch(plan, scope, { status: 'cancelled', confirmId: null, statusReason: note });
        await upsertPlans(tx, [row], 'upsert');
        return {
          response: { planId },
          events: [planEvent('plan.status.changed', row, { status: [plan.status, row.status] })],
        };
      });
      return response.planId;
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
        for (const table of ['step_execution', 'execution', 'analysis'])
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

    /** Keeps an optimised schedule. @throws {INVALID_STATE} */
    applySchedule(
      scope: RequestScope,
      planId: string,
      schedule: Readonly<Record<string, number>>,
      options: WriteOptions,
    ): Promise<string> {
      return change(scope, planId, { ...options, operation: 'optimizePlan', input: schedule }, async (plan) => {
        if (plan.status !== 'draft' && plan.status !== 'approved')
          throw new PlatformError(
            'INVALID_STATE',
            `expected a draft or approved plan, it is ${plan.status.toUpperCase()}`,
            {
              path: ['input', 'planId'],
            },
          );
        return { row: touch(plan, scope, { schedule }), type: 'plan.updated' };
      });
    },
  };
}

export function unknownPlan(): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such plan', { path: ['planId'] });
}

function requireStep(steps: readonly PlanStepRow[], stepId: string): PlanStepRow {
  const step = steps.find(({ id }) => id === stepId);
  if (!step) throw new PlatformError('NOT_FOUND', 'no such step in this plan', { path: ['stepId'] });
  return step;
}
