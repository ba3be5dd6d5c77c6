import type { GraphQLResolveInfo } from 'graphql';
import { subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, requireId } from '#shared/ids.ts';
import { selectedFields } from '#shared/selectedFields.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import { criterionStates } from './acceptance.ts';
import { shapeAnalysis, shapeChange, shapeInfeasibility } from './analysisShape.ts';
import { collaborationRoots, collaborationTypes } from './collaboration/resolvers.ts';
import type { RequestContext } from './context.ts';
import { definitionFields, keptSchedule, stepDetailFields } from './definitionFields.ts';
import { shapeWorkWeek } from './definitionShape.ts';
import { toDocument } from './document.ts';
import type { LeaseResponse } from './leases.ts';
import { listPlans } from './lists.ts';
import { methodFields } from './methodShape.ts';
import { monitoringOfPlan, monitoringOfRuns } from './monitoring/resolvers.ts';
import { executionConfigOf, optimizationOf } from './planDefaults.ts';
import type { Resolvers } from './resolvers.generated.ts';
import type { ContextParticipantRow, PlanTaskFiguresRow } from './rows.ts';
import { findStepExecutions } from './store.ts';
import type { AgentInContext, TaskFigures } from './taskFigures.ts';

type Upper<Text extends string> = Uppercase<Text>;
const upper = <Text extends string>(text: Text) => text.toUpperCase() as Upper<Text>;

/** @throws {VALIDATION_FAILED} where the graph did not say of whom it asks. */
function agentOf({ contextId, agentId }: ContextParticipantRow): AgentInContext {
  return { contextId: requireId(contextId, ['contextId']), agentId: agentId ?? '' };
}

async function figuresOf({ contextId }: PlanTaskFiguresRow, { loaders }: RequestContext): Promise<TaskFigures> {
  return (await loaders.taskFigures.load(contextId))!;
}

/** What stands after a mutation: an earlier one of the same request may have read what this one changed. */
async function planPayload({ loaders }: RequestContext, pending: Promise<string>) {
  const planId = await pending;
  for (const loader of Object.values(loaders)) loader.clearAll();
  return { plan: await loaders.plan.load(planId), userErrors: [] };
}

async function runPayload(context: RequestContext, pending: Promise<{ readonly executionId: string }>) {
  const { executionId } = await pending;
  context.loaders.execution.clearAll();
  const execution = await context.loaders.execution.load(executionId);
  return { execution, plan: execution && (await context.loaders.plan.load(execution.planId)), userErrors: [] };
}

async function findRunStep({ service, principal }: RequestContext, executionId: string, stepId: string) {
  const steps = await findStepExecutions(service.sql, principal.tenantId, [executionId], [stepId]);
  return steps[0] ?? null;
}

/** The lease as it stands: a repeat of a claim answers it again while it is open. Its step is read where it is asked for. */
async function leaseOf(
  context: RequestContext,
  { executionId, stepId, epoch }: LeaseResponse,
  info: GraphQLResolveInfo,
) {
  const step = stepId === null ? null : await findRunStep(context, executionId, stepId);
  if (!step || step.leaseEpoch !== epoch || step.leaseUntil === null || step.leaseOwner === null) return null;
  return {
    ...{ executionId, epoch, agentId: step.leaseOwner, leaseUntil: step.leaseUntil },
    ...{ stepId: step.stepId, planId: step.planId, attempt: step.attempt },
    ...{ progress: step.progress, state: step.state },
    step: selectedFields(info, 'lease').has('step')
      ? await context.loaders.step.clearAll().load({ planId: step.planId, id: step.stepId })
      : null,
  };
}

/** What agents ask for at each step is read only where it is asked for: most want to know that it was taken. */
async function stepPayload(
  context: RequestContext,
  pending: Promise<{ readonly executionId: string; readonly stepId: string | null }>,
  info: GraphQLResolveInfo,
) {
  const { executionId, stepId } = await pending;
  const asked = selectedFields(info, '');
  return {
    step: stepId === null || !asked.has('step') ? null : await findRunStep(context, executionId, stepId),
    execution: asked.has('execution') ? await rereadRun(context, executionId) : null,
    userErrors: [],
  };
}

/** The run as it stands after a mutation. */
const rereadRun = ({ loaders }: RequestContext, executionId: string) => loaders.execution.clearAll().load(executionId);

const toMeasures = <Measures extends { readonly violations: readonly unknown[] }>(measures: Measures) => ({
  ...{ ...measures, violations: [...measures.violations] as Measures['violations'][number][] },
});

export const resolvers: Resolvers = {
  ...collaborationTypes,
  ...monitoringOfRuns,
  Query: {
    ...collaborationRoots.Query,
    plan: (_parent, { planId }, { loaders }) => (isId(planId) ? loaders.plan.load(planId) : null),
    plans: (_parent, { filter, ...page }, { service, scope }) => {
      // Every event of a plan names its context: a list of one context outlives what happens in the others.
      scope.readTags.add(filter?.contextId == null ? 'plans' : `Context:${filter.contextId.toLowerCase()}:plans`);
      return listPlans(service.sql, scope, filter, page);
    },
    planExecution: (_parent, { executionId }, { loaders }) =>
      isId(executionId) ? loaders.execution.load(executionId) : null,
    planAnalysis: async (_parent, { planId, samples, seed, deadlineMs }, { service, principal, scope }) => {
      const options = { samples, seed, deadlineMs: deadlineMs ?? null };
      return shapeAnalysis(await service.analyses.analyze(principal, planId, options, scope.signal));
    },
    validatePlan: async (_parent, { planId }, { service, principal }) => {
      const problems = await service.analyses.validate(principal, planId);
      return {
        valid: problems.every(({ severity }) => severity !== 'ERROR'),
        problems: problems.map(({ stepIds, ...problem }) => ({ ...problem, stepIds: [...stepIds] })),
      };
    },
    comparePlans: async (_parent, { planIds }, { loaders }) => {
      if (planIds.length < 1 || planIds.length > 10)
        throw new PlatformError('VALIDATION_FAILED', `planIds: expected 1 to 10, got ${planIds.length}`, {
          path: ['planIds'],
        });
      const rows = await Promise.all(planIds.map((planId) => (isId(planId) ? loaders.plan.load(planId) : null)));
      return planIds.map((planId, at) => {
        const plan = rows[at];
        if (!plan) throw new PlatformError('NOT_FOUND', 'no such plan', { path: ['planIds'] });
        return { ...plan.summary, planId, title: plan.title };
      });
    },
    planMethods: (_parent, args, { service, scope }) => service.methods.list(scope, args),
  },
  Mutation: {
    ...collaborationRoots.Mutation,
    createPlan: (_parent, { input }, context) =>
      planPayload(context, context.service.plans.create(context.scope, input)),
    createPlanMethod: async (_parent, { input }, { service, scope }) => {
      const methodId = await service.methods.create(scope, input);
      return { method: await service.methods.find(scope.principal.tenantId, methodId), userErrors: [] };
    },
    deletePlanMethod: async (_parent, { methodId, idempotencyKey }, { service, scope }) => ({
      methodId: await service.methods.remove(scope, methodId, idempotencyKey),
      deleted: true,
      userErrors: [],
    }),
    updatePlan: (_parent, { planId, patch, ...options }, context) =>
      planPayload(context, context.service.plans.update(context.scope, planId, patch, options)),
    deletePlan: async (_parent, { planId, ...options }, { service, scope }) => ({
      planId: await service.plans.remove(scope, planId, options),
      deleted: true,
      userErrors: [],
    }),
    proposePlan: (_parent, { planId, ...options }, context) =>
      planPayload(context, context.service.plans.propose(context.scope, planId, options)),
    approvePlan: (_parent, { planId, ...options }, context) =>
      planPayload(context, context.service.plans.approve(context.scope, planId, options)),
    revisePlan: (_parent, { planId, ...options }, context) =>
      planPayload(context, context.service.plans.revise(context.scope, planId, options)),
    cancelPlan: (_parent, { planId, ...options }, context) =>
      planPayload(context, context.service.plans.cancel(context.scope, planId, options)),
    archivePlan: (_parent, { planId, ...options }, context) =>
      planPayload(context, context.service.plans.archive(context.scope, planId, true, options)),
    unarchivePlan: (_parent, { planId, ...options }, context) =>
      planPayload(context, context.service.plans.archive(context.scope, planId, false, options)),
    addStep: (_parent, { planId, step, ...options }, context) =>
      planPayload(context, context.service.plans.addStep(context.scope, planId, step, options)),
    updateStep: (_parent, { planId, stepId, patch, ...options }, context) =>
      planPayload(context, context.service.plans.updateStep(context.scope, planId, { stepId, patch }, options)),
    removeStep: (_parent, { planId, stepId, ...options }, context) =>
      planPayload(context, context.service.plans.removeStep(context.scope, planId, stepId, options)),
    addDependency: (_parent, { planId, dependency, ...options }, context) =>
      planPayload(context, context.service.plans.addDependency(context.scope, planId, dependency, options)),
    removeDependency: (_parent, { planId, dependencyId, ...options }, context) =>
      planPayload(context, context.service.plans.removeDependency(context.scope, planId, dependencyId, options)),
    optimizePlan: async (_parent, { input }, context) => {
      const { planId, applied, outcome } = await context.service.optimizations.optimize(context.scope, input);
      const payload = { ...(await planPayload(context, Promise.resolve(planId))), applied };
      if (outcome === null) return payload;
      return {
        ...payload,
        ...{ before: toMeasures(outcome.before), after: toMeasures(outcome.after) },
        ...{ schedule: [...outcome.schedule], criticalPath: [...outcome.criticalPath] },
        ...{ optimal: outcome.optimal, score: outcome.after.score, lowerBoundMs: outcome.lowerBoundMs },
        paretoFront: outcome.paretoFront.map(({ values, steps }) => ({ values: [...values], steps: [...steps] })),
        crashCost: outcome.crashCost,
        crashedSteps: outcome.crashedSteps && [...outcome.crashedSteps],
        ...{ schedules: outcome.schedules, timeLimited: outcome.timeLimited },
      };
    },
    adaptPlan: async (_parent, { input }, context) => {
      const { planId, options, chosen } = await context.service.adaptations.adapt(context.scope, input);
      const toOption = ({ kind, parameters, ...option }: NonNullable<typeof options>[number]) => ({
        ...{ ...option, ...shapeChange(kind, parameters), schedule: [...option.schedule] },
      });
      return {
        ...(await planPayload(context, Promise.resolve(planId))),
        options: options?.map(toOption),
        chosen: chosen && toOption({ ...chosen, withinLimits: true }),
        applied: input.apply,
      };
    },
    executePlan: async (_parent, { input }, context, info) => {
      const started = await context.service.executions.start(context.scope, input);
      context.loaders.plan.clearAll();
      const asked = selectedFields(info, '');
      return {
        execution:
          started.executionId === null || !asked.has('execution')
            ? null
            : await context.loaders.execution.load(started.executionId),
        plan: asked.has('plan') ? await context.loaders.plan.load(started.planId) : null,
        readySteps: [...started.readySteps],
        schedule: started.schedule && [...started.schedule],
        ...{ makespanMs: started.makespanMs, cost: started.cost ?? null },
        userErrors: [],
      };
    },
    claimStep: async (_parent, args, context, info) => {
      const claimed = await context.service.runs.claim(context.scope, args);
      const asked = selectedFields(info, '');
      return {
        lease: asked.has('lease') ? await leaseOf(context, claimed, info) : null,
        retryAfterMs: claimed.retryAfterMs ?? null,
        execution: asked.has('execution') ? await rereadRun(context, claimed.executionId) : null,
        userErrors: [],
      };
    },
    reportStepProgress: async (_parent, { lease, ...options }, context, info) => {
      const { paused, ...reported } = await context.service.runs.report(context.scope, lease, options);
      return {
        lease: selectedFields(info, '').has('lease') ? await leaseOf(context, reported, info) : null,
        directive: paused ? ('PAUSE' as const) : ('CONTINUE' as const),
        userErrors: [],
      };
    },
    completeStep: (_parent, { lease, ...options }, context, info) =>
      stepPayload(context, context.service.runs.complete(context.scope, lease, options), info),
    reviewStep: (_parent, { executionId, stepId, ...options }, context, info) =>
      stepPayload(context, context.service.runs.review(context.scope, { executionId, stepId }, options), info),
    failStep: (_parent, { lease, ...options }, context, info) =>
      stepPayload(context, context.service.runs.fail(context.scope, lease, options), info),
    resolveStep: (_parent, { executionId, stepId, ...options }, context, info) =>
      stepPayload(
        context,
        context.service.executions.resolveStep(context.scope, { executionId, stepId }, options),
        info,
      ),
    reassignTask: (_parent, { planId, stepId, agentId, transferState, ...options }, context) =>
      planPayload(
        context,
        context.service.executions
          .reassign(context.scope, { planId, stepId, agentId, transferState }, options)
          .then((response) => response.planId),
      ),
    pauseExecution: (_parent, { executionId, ...options }, context) =>
      runPayload(context, context.service.executions.pause(context.scope, executionId, options)),
    resumeExecution: (_parent, { executionId, ...options }, context) =>
      runPayload(context, context.service.executions.resume(context.scope, executionId, options)),
    cancelExecution: (_parent, { executionId, ...options }, context) =>
      runPayload(context, context.service.executions.cancel(context.scope, executionId, options)),
  },
  Plan: {
    ...monitoringOfPlan,
    __resolveReference: ({ id }, { loaders }) => loaders.plan.load(id),
    planId: (row) => row.id,
    context: (row) => ({ id: row.contextId }),
    status: (row) => upper(row.status),
    type: (row) => row.type as never,
    priority: (row) => row.priority as never,
    archived: (row) => row.archivedAt !== null,
    ...definitionFields,
    trace: ({ tenantId, contextId, protocol }) => {
      const named = (protocol?.['trace'] as { readonly trace_id?: unknown } | undefined)?.trace_id;
      return { id: isId(named) ? named : contextTraceId(tenantId, contextId) };
    },
    schedule: (row, _args, context) => (row.schedule === null ? null : keptSchedule(row, context)),
    optimization: ({ definition }) => {
      if (definition.optimization == null) return null;
      const { constraints, ...rest } = optimizationOf(definition);
      return {
        ...rest,
        constraints: constraints && {
          ...constraints,
          availableResources: (constraints.availableResources ?? []).map((limit) => ({
            ...{ ...limit, calendar: limit.calendar ?? [], workWeek: shapeWorkWeek(limit.workWeek) },
          })),
        },
      };
    },
    executionConfig: ({ definition }) => (definition.executionConfig == null ? null : executionConfigOf(definition)),
    summary: ({ summary }) => ({
      ...{ ...summary, criticalPath: [...summary.criticalPath], peakUse: [...summary.peakUse] },
      reasons: summary.reasons.map(shapeInfeasibility),
    }),
    steps: async (row, _args, { loaders }) => [...(await loaders.steps.load(row.id))],
    dependencies: async (row, _args, { loaders }) => [...(await loaders.dependencies.load(row.id))],
    executions: async (row, { first }, { loaders }) => [
      ...(await loaders.planExecutions.load(row.id, null, { first })).nodes,
    ],
    sessions: async ({ id }, { first }, { loaders }) => [
      ...(await loaders.planSessions.load(id, null, { first })).nodes,
    ],
    document: async (row, _args, { loaders }) => {
      const [steps, dependencies] = await Promise.all([loaders.steps.load(row.id), loaders.dependencies.load(row.id)]);
      return toDocument(row, steps, dependencies);
    },
  },
  Context: {
    plans: async ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Context:${id}:plans`);
      const [found] = await Promise.all([
        loaders.contextPlans.load(id, status?.map((one) => one.toLowerCase()) ?? null, page),
        loaders.listAccess.load('plans'),
      ]);
      return found;
    },
    taskFigures: ({ id }, _args, { scope }) => {
      // Nothing tells when it is out of date.
      scope.readTags.add(subjectBoundTag);
      return { contextId: requireId(id, ['contextId']) };
    },
  },
  PlanTaskFigures: {
    runningExecutions: ({ contextId }, _args, { loaders }) => loaders.runningExecutions.load(contextId),
    runningTasks: async (row, _args, context) => (await figuresOf(row, context)).runningTasks,
    blockedTasks: async (row, _args, context) => (await figuresOf(row, context)).blockedTasks,
    completedLastHour: async (row, _args, context) => (await figuresOf(row, context)).completedLastHour,
    failedLastHour: async (row, _args, context) => (await figuresOf(row, context)).failedLastHour,
    averageTaskMs: async (row, _args, context) => (await figuresOf(row, context)).averageTaskMs,
    p95TaskMs: async (row, _args, context) => (await figuresOf(row, context)).p95TaskMs,
  },
  ContextParticipant: {
    __resolveReference: (reference) => reference,
    totalTasks: async (agent, _args, { loaders }) => (await loaders.agentTasks.load(agentOf(agent))).totalTasks,
    completedTasks: async (agent, _args, { loaders }) => (await loaders.agentTasks.load(agentOf(agent))).completedTasks,
    failedTasks: async (agent, _args, { loaders }) => (await loaders.agentTasks.load(agentOf(agent))).failedTasks,
    averageResponseMs: async (agent, _args, { loaders }) =>
      (await loaders.agentTasks.load(agentOf(agent))).averageResponseMs,
  },
  PlanConnection: {
    totalCount: (connection) => connection.count(),
  },
  PlanSchedule: {
    steps: async (row) => [...(await row.measured()).steps],
    makespanMs: async (row) => (await row.measured()).makespanMs,
    score: ({ plan }) => plan.summary.planning?.score ?? null,
    resourceEfficiency: async (row) => (await row.measured()).resourceEfficiency,
    loadBalanceScore: async (row) => (await row.measured()).loadBalanceScore,
    violations: async (row) => [...(await row.measured()).violations],
  },
  Subject: {
    __resolveReference: ({ id }) => ({ id }),
    assignedSteps: ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(subjectBoundTag);
      return loaders.assignedSteps.load(id, status?.map((one) => one.toLowerCase()) ?? null, page);
    },
  },
  PlanStep: {
    __resolveReference: ({ planId, id }, { loaders }) => (isId(planId) ? loaders.step.load({ planId, id }) : null),
    stepId: (row) => row.id,
    status: (row) => upper(row.status),
    type: (row) => row.type as never,
    priority: (row) => row.priority as never,
    role: async ({ agentRole }, _args, { loaders }) => {
      const id = agentRole === null ? null : await loaders.roleId.load(agentRole);
      return id === null ? null : { id };
    },
    subTasks: async ({ planId, id, type }, _args, { loaders }) =>
      type === 'COMPOSITE'
        ? (await loaders.steps.load(planId)).flatMap((step) => (step.parentId === id ? [step.id] : []))
        : [],
    requiredCapabilities: (row) => [...row.capabilities],
    assignedAgents: (row) => [...row.assignedAgents],
    agents: (row) => row.assignedAgents.map((id) => ({ id })),
    ...stepDetailFields,
    acceptanceCriteria: ({ details, criteria }) =>
      criterionStates(details, criteria).map(({ judgement, ...criterion }) => ({
        ...criterion,
        ...{ judgedBy: judgement?.by ?? null, judgedAt: judgement?.at ?? null, note: judgement?.note ?? null },
      })),
  },
  PlanMethod: {
    ...methodFields,
    methodId: (row) => row.id,
    parameters: (row) => [...row.parameters],
  },
  PlanDependency: {
    type: (row) => upper(row.type),
    criticality: (row) => upper(row.criticality),
  },
};
