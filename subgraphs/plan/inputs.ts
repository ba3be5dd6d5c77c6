import { z } from 'zod';
import { id, idempotencyKey, json, jsonObject, text } from '#shared/validation.ts';
import { acceptanceCriteria } from './acceptance.ts';
import { constraints, timeline } from './constraints/inputs.ts';
import { checkCondition } from './dependencyCondition.ts';
import { milestones, objectives } from './goalInputs.ts';
import {
  dispatchStrategy,
  executionConfig,
  executionMode,
  optimization,
  optimizationConstraints,
  optimizationStrategy,
} from './planDefaults.ts';
import { calendar, isOneCalendar, oneCalendar, resourceCalendars } from './resourceLimits.ts';
import { workWeek } from './workWeekInput.ts';

const label = text({ min: 1, max: 255 });
/** Enum values of GraphQL as they are stored. */
const lower = <const Value extends string>(values: readonly [Value, ...Value[]]) =>
  z.preprocess((value) => (typeof value === 'string' ? value.toLowerCase() : value), z.enum(values));
const yearMs = 366 * 24 * 3_600_000;
const durationMs = z.number().int().min(0).max(yearMs);
const freeJson = json({ maxBytes: 262_144 });
const price = z.number().min(0).max(1e12);
const names = z.array(label).max(100);

export const stepFields = {
  name: label.nullish(),
  type: z.string().nullish(),
  priority: z.string().nullish(),
  agentRole: text({ max: 255 }).nullish(),
  parentId: id.nullish(),
  orderIndex: z.number().int().min(0).nullish(),
  durationMs: durationMs.nullish(),
  estimate: z
    .object({ optimisticMs: durationMs, mostLikelyMs: durationMs, pessimisticMs: durationMs })
    .refine(
      (value) => value.optimisticMs <= value.mostLikelyMs && value.mostLikelyMs <= value.pessimisticMs,
      'expected optimistic <= mostLikely <= pessimistic',
    )
    .nullish(),
  earliestStartMs: durationMs.nullish(),
  deadlineMs: durationMs.nullish(),
  demands: z
    .array(
      z.object({
        resourceId: label,
        amount: z.number().int().min(1).max(1_000_000),
        availability: z.enum(['REQUIRED', 'PREFERRED', 'OPTIONAL']).nullish(),
      }),
    )
    .max(50)
    .nullish(),
  costPerHour: price.nullish(),
  crash: z.object({ minDurationMs: durationMs, costPerHour: price }).nullish(),
  requiredCapabilities: names.nullish(),
  assignedAgents: names.nullish(),
  acceptanceCriteria: acceptanceCriteria.nullish(),
  estimatedEffort: z
    .object({ value: z.number().min(0).max(1_000_000), unit: z.enum(['HOURS', 'DAYS', 'STORY_POINTS']) })
    .nullish(),
  timeoutMs: durationMs.min(100).nullish(),
};

export const step = z.object({
  ...stepFields,
  id: id.nullish(),
  description: text({ min: 1 }),
  dependsOn: z.array(id).max(1_000).nullish(),
});
export type StepInput = z.output<typeof step>;

export const stepPatch = z.object({ ...stepFields, description: text({ min: 1 }).optional() });
export type StepPatch = z.output<typeof stepPatch>;

export const dependency = z
  .object({
    id: id.nullish(),
    sourceId: id,
    targetId: id,
    type: z.string().nullish(),
    lagMs: z.number().int().min(-yearMs).max(yearMs).nullish(),
    criticality: z.string().nullish(),
    condition: text({ min: 1, max: 2_000 }).superRefine(checkCondition).nullish(),
  })
  .refine(
    ({ condition, type }) => condition == null || type == null || type.startsWith('FINISH_TO_'),
    'expected a condition with FINISH_TO_START or FINISH_TO_FINISH: it is asked for when the predecessor ends',
  );
export type DependencyInput = z.output<typeof dependency>;

const failureResolver = z.object({
  strategies: z
    .array(z.enum(['RETRY', 'ROLLBACK', 'SKIP', 'MANUAL_INTERVENTION']))
    .max(4)
    .nullish(),
  maxAttempts: z.number().int().min(1).max(10).nullish(),
  delayMs: z.number().int().min(100).max(3_600_000).nullish(),
  backoffFactor: z.number().min(1).max(100).nullish(),
  maxDelayMs: z.number().int().min(100).max(86_400_000).nullish(),
  rollbackDepth: z.number().int().min(1).max(100).nullish(),
  lapsesCount: z.boolean().nullish(),
  manualTimeoutMs: durationMs.min(1_000).nullish(),
  enabled: z.boolean().nullish(),
  checkpointFrequency: z.number().int().min(1).max(10_000).nullish(),
  skipDependents: z.boolean().nullish(),
  approvalRequired: z.boolean().nullish(),
  escalationLevels: z
    .array(
      z
        .object({
          afterMs: durationMs.min(1_000),
          approverRoles: names.nullish().transform((list) => list ?? []),
          approvers: z
            .array(label)
            .max(1_000)
            .nullish()
            .transform((list) => list ?? []),
        })
        .refine(
          ({ approverRoles, approvers }) => approverRoles.length + approvers.length > 0,
          'expected somebody to ask',
        ),
    )
    .max(5)
    .refine(
      (levels) => levels.every(({ afterMs }, at) => at === 0 || levels[at - 1]!.afterMs < afterMs),
      'expected levels by their times, each later than the one before',
    )
    .nullish(),
});

export const approval = z
  .object({
    approverRoles: names.nullish(),
    approvers: z.array(label).max(1_000).nullish(),
    quorum: z.enum(['SINGLE', 'AT_LEAST', 'MAJORITY', 'UNANIMOUS']).nullish(),
    required: z.number().int().min(1).max(1_000).nullish(),
  })
  .refine(
    ({ quorum, required }) => required == null || quorum === 'AT_LEAST',
    'expected `required` with the quorum AT_LEAST alone',
  );
export type ApprovalInput = z.output<typeof approval>;

const planFields = {
  type: z.string().nullish(),
  priority: z.string().nullish(),
  requiresApproval: z.boolean().nullish(),
  approval: approval.nullish(),
  resources: z
    .array(
      z
        .object({
          id: label,
          capacity: z.number().int().min(0).max(1_000_000),
          unit: label.nullish(),
          costPerHour: price.nullish(),
          maxAdded: z.number().int().min(0).max(1_000_000).nullish(),
          calendar: calendar.nullish(),
          workWeek: workWeek.nullish(),
        })
        .refine(isOneCalendar, oneCalendar),
    )
    .max(200)
    .refine((list) => new Set(list.map((entry) => entry.id)).size === list.length, 'expected each resource once')
    .nullish(),
  deadlineMs: durationMs.nullish(),
  objectives: objectives.nullish(),
  constraints: constraints.nullish(),
  timeline: timeline.nullish(),
  milestones: milestones.nullish(),
  optimization: optimization.nullish(),
  executionConfig: executionConfig.nullish(),
  customData: freeJson.nullish(),
  risks: z
    .array(
      z.object({
        name: label,
        category: lower(['technical', 'resource', 'schedule', 'scope', 'external']).nullish(),
        probability: z.number().min(0).max(1),
        impact: z.number().min(0).max(1),
        status: lower(['identified', 'mitigated', 'accepted', 'closed']).nullish(),
        mitigation: text({ max: 10_000 }).nullish(),
        contingency: text({ max: 10_000 }).nullish(),
      }),
    )
    .max(500)
    .nullish(),
  failureResolver: failureResolver.nullish(),
  maxConcurrentTasks: z.number().int().min(1).max(1_000).nullish(),
};

export const createPlan = z
  .object({
    ...planFields,
    contextId: id,
    title: label,
    objective: text({ min: 1 }),
    steps: z.array(step).min(1).max(10_000).nullish(),
    dependencies: z.array(dependency).max(100_000).nullish(),
    objectiveOrder: z.enum(['ORDERED', 'UNORDERED']).nullish(),
    facts: z.unknown().optional(),
    idempotencyKey: idempotencyKey.nullish(),
  })
  .superRefine(({ steps, objectives, dependencies, objectiveOrder, facts }, context) => {
    const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (steps == null && objectives == null) refuse('steps', 'expected at least one step, or objectives to decompose');
    if (steps == null && dependencies != null) refuse('dependencies', 'expected dependencies of steps that are given');
    if (steps != null && objectiveOrder != null) refuse('objectiveOrder', 'expected it without steps alone');
    if (steps != null && facts != null) refuse('facts', 'expected them without steps alone');
  });
export type CreatePlanInput = z.output<typeof createPlan>;

export const planPatch = z.object({ ...planFields, title: label.optional(), objective: text({ min: 1 }).optional() });
export type PlanPatch = z.output<typeof planPatch>;

export const reason = text({ max: 2_000 });

export const executePlan = z.object({
  planId: id,
  mode: executionMode.nullish(),
  maxConcurrentTasks: z.number().int().min(1).max(1_000).nullish(),
  leaseMs: z.number().int().min(100).max(3_600_000).nullish(),
  timeoutMs: z.number().int().min(1_000).max(yearMs).nullish(),
  stepTimeoutMs: durationMs.min(100).nullish(),
  agentPool: z
    .array(
      z.object({
        agentId: label,
        capabilities: names,
        capacity: z.number().int().min(0).max(1_000),
        roles: names.nullish(),
        costPerHour: price.nullish(),
        availableFromMs: durationMs.nullish(),
        availableUntilMs: durationMs.nullish(),
      }),
    )
    .min(1)
    .max(1_000)
    .refine((list) => new Set(list.map(({ agentId: one }) => one)).size === list.length, 'expected each agent once')
    .refine(
      (list) =>
        list.every(({ availableFromMs, availableUntilMs }) => (availableFromMs ?? 0) < (availableUntilMs ?? Infinity)),
      'expected agents that come before they go',
    )
    .nullish(),
  resourceLimits: resourceCalendars.nullish(),
  strategy: dispatchStrategy.nullish(),
  validateDependencies: z.boolean(),
  dryRun: z.boolean(),
  expectedVersion: z.number().int().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type ExecutePlanInput = Omit<z.output<typeof executePlan>, 'idempotencyKey'>;

const optimizeFields = z.object({
  planId: id,
  strategy: optimizationStrategy.nullish(),
  targetMakespanMs: durationMs.nullish(),
  maxCrashCost: price.nullish(),
  targets: z
    .array(z.enum(['TIME', 'RESOURCE', 'COST', 'QUALITY']))
    .min(1)
    .max(4),
  constraints: optimizationConstraints.nullish(),
  algorithm: z.enum(['SIMULATED_ANNEALING', 'GENETIC']).nullish(),
  iterations: z.number().int().min(1).max(200_000),
  maxOptimizationTimeMs: z.number().int().min(10).max(60_000),
  reproducible: z.boolean(),
  seed: z.number().int(),
  apply: z.boolean(),
  expectedVersion: z.number().int().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const optimizePlan = optimizeFields
  .refine(
    ({ strategy, targetMakespanMs, maxCrashCost }) =>
      strategy === 'COST_OPTIMAL' || (targetMakespanMs == null && maxCrashCost == null),
    'expected `targetMakespanMs` and `maxCrashCost` with the strategy COST_OPTIMAL alone',
  )
  .refine(
    ({ strategy, targets }) => strategy == null || strategy === 'TIME_OPTIMAL' || targets.join() === 'TIME',
    'expected several targets without another strategy',
  );

export const adaptPlan = z
  .object({
    planId: id,
    trigger: z.enum(['STEP_FAILED', 'AGENT_LOST', 'DEADLINE_MOVED', 'SCOPE_CHANGED']),
    stepId: id.nullish(),
    agentId: label.nullish(),
    deadlineMs: durationMs.nullish(),
    removeStepIds: z.array(id).min(1).max(10_000).nullish(),
    maxCostIncrease: z.number().min(0).max(1_000).nullish(),
    minSuccessProbability: z.number().min(0).max(1),
    seed: z.number().int(),
    apply: z.boolean(),
    expectedVersion: z.number().int().nullish(),
    idempotencyKey: idempotencyKey.nullish(),
  })
  .refine(({ trigger, stepId }) => trigger !== 'STEP_FAILED' || stepId != null, 'expected the step that failed')
  .refine(({ trigger, agentId }) => trigger !== 'AGENT_LOST' || agentId != null, 'expected the agent that is lost')
  .refine(
    ({ trigger, deadlineMs }) => trigger !== 'DEADLINE_MOVED' || deadlineMs != null,
    'expected the deadline as it is now',
  )
  .refine(
    ({ trigger, removeStepIds }) => trigger !== 'SCOPE_CHANGED' || removeStepIds != null,
    'expected the steps that are out of scope',
  );

export const claim = z.object({
  executionId: id,
  agentId: label,
  capabilities: names.nullish(),
  roles: names.nullish(),
  leaseMs: z.number().int().min(100).max(3_600_000).nullish(),
});

export const lease = z.object({ executionId: id, stepId: id, epoch: z.number().int().min(1) });
export const progress = z.number().min(0).max(1).nullish();
export const stepError = z.object({ message: text({ min: 1, max: 10_000 }), retryable: z.boolean() });
/** What who goes on with a step needs to know. */
export const stepState = json({ maxBytes: 65_536 }).nullish();

export const stepResult = json({ maxBytes: 1_048_576 });
export const agentId = label;
export const filter = z.object({
  contextId: id.nullish(),
  status: z.array(z.string()).nullish(),
  type: z.array(z.string()).nullish(),
  priority: z.array(z.string()).nullish(),
  createdBy: text({ max: 255 }).nullish(),
  titlePattern: text({ max: 255 }).nullish(),
  archived: z.boolean().nullish(),
});
export const anyObject = jsonObject();
