import type { Sql } from '#shared/sql.ts';
import { emptyDefinition } from '../../subgraphs/plan/definition.ts';
import { summarize, toDependency, toStep } from '../../subgraphs/plan/network.ts';
import type { PlanDefinition, PlanDependencyRow, PlanStatusValue, PlanStepRow } from '../../subgraphs/plan/rows.ts';
import { createRandom } from '../load/random.ts';
import { contextId, perfTenant, seededContext } from './context.ts';
import { type CopyValue, copyRows } from './copyRows.ts';
import { seedId } from './seedId.ts';
import { pickDomain, sentence } from './words.ts';

export interface PlanSeed {
  /** Contexts that are there already; plans lie in them in turn. */
  readonly contexts: number;
  /** Plans of 20 steps, four wide: those of the first round drafts, all others approved. */
  readonly plans: number;
  /** Plans of 200 steps, 400 dependencies and 10 resources beside them. */
  readonly largePlans: number;
}

interface Shape {
  readonly steps: number;
  readonly width: number;
  readonly resources: number;
}

const small: Shape = { steps: 20, width: 4, resources: 0 };
const large: Shape = { steps: 200, width: 20, resources: 10 };
const minuteMs = 60_000;
const dayMs = 86_400_000;

export const stepsPerPlan = small.steps;
export const stepsPerLargePlan = large.steps;
export const planId = (plan: number): string => seedId('plan', plan);
/** Large plans have numbers after those of the others. */
export const largePlanId = ({ plans }: PlanSeed, large: number): string => planId(plans + large);
export const stepId = (plan: number, step: number): string => seedId('step', plan, step);
export const isDraft = ({ contexts }: PlanSeed, plan: number): boolean => plan < contexts;
/** Plans start only in contexts that are active. */
export const isStartable = (seed: PlanSeed, plan: number): boolean =>
  !isDraft(seed, plan) && seededContext(plan % seed.contexts).status === 'active';

/** The step above in the layer before, and others of that layer until there are two for each step of the plan. */
export function predecessorsOf(step: number, { steps, width }: Omit<Shape, 'resources'>): number[] {
  if (step < width) return [];
  const layer = Math.floor(step / width) - 1;
  const place = step % width;
  const dense = steps > 100;
  const places = dense
    ? [place, (place + 1) % width, ...(step < 3 * width ? [(place + 7) % width] : [])]
    : place % 2 === 0
      ? [place, place + 1]
      : [place];
  return places.map((at) => layer * width + at);
}

function definitionOf({ resources }: Shape): PlanDefinition {
  const capacities = Array.from({ length: resources }, (_, at) => ({ id: `resource-${at}`, capacity: 4 + (at % 3) }));
  return { ...emptyDefinition, resources: capacities };
}

interface SeededPlan {
  readonly definition: PlanDefinition;
  readonly steps: readonly PlanStepRow[];
  readonly dependencies: readonly PlanDependencyRow[];
}

/** A plan's network from its number alone. */
function seededPlan(plan: number, shape: Shape): SeededPlan {
  const random = createRandom(plan + 1);
  const domain = pickDomain(random);
  const of = { tenantId: perfTenant, planId: planId(plan) };
  const steps = Array.from({ length: shape.steps }, (_, place) => {
    const mostLikelyMs = (10 + random.integer(110)) * minuteMs;
    const demands = [...new Set([random.integer(shape.resources || 1), random.integer(shape.resources || 1)])];
    return toStep(
      {
        id: stepId(plan, place),
        description: sentence(random, domain, 8),
        durationMs: mostLikelyMs,
        estimate: {
          optimisticMs: Math.round(mostLikelyMs * 0.7),
          mostLikelyMs,
          pessimisticMs: Math.round(mostLikelyMs * 1.8),
        },
        ...(shape.resources === 0
          ? {}
          : { demands: demands.map((at) => ({ resourceId: `resource-${at}`, amount: 1 + random.integer(3) })) }),
      },
      { ...of, place },
    );
  });
  const dependencies = steps.flatMap((target, place) =>
    predecessorsOf(place, shape).map((source, at) => ({
      id: seedId('dependency', plan, place * 4 + at),
      sourceId: steps[source]!.id,
      targetId: target.id,
    })),
  );
  return {
    definition: definitionOf(shape),
    steps,
    dependencies: dependencies.map((given, place) => toDependency(given, { ...of, place })),
  };
}

function* seededPlans(
  seed: PlanSeed,
): Generator<SeededPlan & { readonly plan: number; readonly status: PlanStatusValue }> {
  for (let plan = 0; plan < seed.plans + seed.largePlans; plan += 1) {
    const status = isDraft(seed, plan) ? 'draft' : 'approved';
    yield { plan, status, ...seededPlan(plan, plan < seed.plans ? small : large) };
  }
}

const planColumns = [
  'tenant_id',
  'id',
  'context_id',
  'title',
  'objective',
  'status',
  'type',
  'priority',
  'requires_approval',
  'definition',
  'summary',
  'step_count',
  'created_at',
  'created_by',
  'updated_at',
  'updated_by',
];
const stepColumns = [
  'tenant_id',
  'plan_id',
  'id',
  'place',
  'description',
  'status',
  'type',
  'priority',
  'duration_ms',
  'capabilities',
  'assigned_agents',
  'details',
];
const dependencyColumns = [
  'tenant_id',
  'plan_id',
  'id',
  'place',
  'source_id',
  'target_id',
  'type',
  'lag_ms',
  'criticality',
];

function* planRows(seed: PlanSeed, nowMs: number): Generator<CopyValue[]> {
  const random = createRandom(13);
  for (const { plan, status, definition, steps, dependencies } of seededPlans(seed)) {
    const at = new Date(nowMs - Math.floor(random.next() * 365 * dayMs));
    const domain = pickDomain(random);
    yield [
      perfTenant,
      planId(plan),
      contextId(plan % seed.contexts),
      `${sentence(random, domain, 4)} ${plan}`,
      sentence(random, domain, 12),
      status,
      'PARALLEL',
      'MEDIUM',
      false,
      { ...definition },
      { ...summarize(definition, steps, dependencies) },
      steps.length,
      at,
      'seed',
      at,
      'seed',
    ];
  }
}

function* stepRows(seed: PlanSeed): Generator<CopyValue[]> {
  for (const { steps } of seededPlans(seed))
    for (const step of steps)
      yield [
        step.tenantId,
        step.planId,
        step.id,
        step.place,
        step.description,
        step.status,
        step.type,
        step.priority,
        step.durationMs,
        step.capabilities,
        step.assignedAgents,
        { ...step.details },
      ];
}

function* dependencyRows(seed: PlanSeed): Generator<CopyValue[]> {
  for (const { dependencies } of seededPlans(seed))
    for (const row of dependencies)
      yield [
        row.tenantId,
        row.planId,
        row.id,
        row.place,
        row.sourceId,
        row.targetId,
        row.type,
        row.lagMs,
        row.criticality,
      ];
}

/** Plans as they stand when their events have left the log: stream heads and the replica of contexts say what they would. */
export async function seedPlans(sql: Sql, seed: PlanSeed, log: (text: string) => void): Promise<void> {
  await copyRows(sql, 'plan.plan', planColumns, planRows(seed, Date.now()));
  await copyRows(sql, 'plan.step', stepColumns, stepRows(seed));
  log(`${seed.plans + seed.largePlans} plans and their steps copied`);
  await copyRows(sql, 'plan.dependency', dependencyColumns, dependencyRows(seed));
  await sql.unsafe(
    'INSERT INTO plan.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 1 FROM plan.plan',
  );
  await sql.unsafe(
    `INSERT INTO plan.replica (tenant_id, type, id, status, detail, sequence) SELECT tenant_id, 'Context', id, status, '{}', 1 FROM context.context`,
  );
}
