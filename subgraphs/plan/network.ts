import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { type InfeasibilityReason, scoreFeasibility, summarizePlan } from './analysis/index.ts';
import { expandComposites, isStructural, stepOf } from './compositeNodes.ts';
import { findHierarchyFaults } from './composites.ts';
import { limitsByConstraints } from './constraints/index.ts';
import type { DependencyInput, StepInput } from './inputs.ts';
import {
  createNetwork,
  type DependencyType,
  findCycle,
  findNetworkFaults,
  type NetworkFault,
} from './network/index.ts';
import { toPlanProblem } from './planProblem.ts';
import type { PlanDefinition, PlanDependencyRow, PlanStepRow, PlanSummaryValue, StepDetails } from './rows.ts';

const defaultDurationMs = 3_600_000;
const durationRange = { min: 0, max: 366 * 24 * 3_600_000 };

function present<T extends object>(value: T): StepDetails {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry != null)) as StepDetails;
}

const effortMs = { HOURS: 3_600_000, DAYS: 8 * 3_600_000 };

/** As given, else of its estimate, else of its effort in time: that of one agent, eight hours a day. */
function durationOf({ durationMs, estimate, estimatedEffort, type }: Omit<StepInput, 'description'>): number {
  if (durationMs != null) return durationMs;
  if (estimate != null) return estimate.mostLikelyMs;
  if (type === 'MILESTONE') return 0;
  if (estimatedEffort == null || estimatedEffort.unit === 'STORY_POINTS') return defaultDurationMs;
  return Math.min(durationRange.max, Math.round(estimatedEffort.value * effortMs[estimatedEffort.unit]));
}

/** A step as it is stored; what is not given has the house's defaults. @throws {VALIDATION_FAILED} */
export function toStep(
  given: Omit<StepInput, 'description'> & { readonly description: string },
  of: { readonly tenantId: string; readonly planId: string; readonly place: number },
): PlanStepRow {
  if (given.type === 'COMPOSITE' && given.acceptanceCriteria != null && given.acceptanceCriteria.length > 0)
    throw new PlatformError(
      'VALIDATION_FAILED',
      'acceptanceCriteria: expected none of a composite step, which ends with its sub-tasks',
      { path: ['acceptanceCriteria'] },
    );
  return {
    ...of,
    id: given.id ?? newId(),
    parentId: given.parentId ?? null,
    name: given.name ?? null,
    description: given.description,
    status: 'pending',
    type: given.type ?? 'ATOMIC',
    priority: given.priority ?? 'MEDIUM',
    agentRole: given.agentRole ?? null,
    orderIndex: given.orderIndex ?? null,
    durationMs: durationOf(given),
    capabilities: given.requiredCapabilities ?? [],
    assignedAgents: given.assignedAgents ?? [],
    details: present({
      estimate: given.estimate,
      earliestStartMs: given.earliestStartMs,
      deadlineMs: given.deadlineMs,
      demands: given.demands,
      costPerHour: given.costPerHour,
      crash: given.crash,
      acceptanceCriteria: given.acceptanceCriteria,
      estimatedEffort: given.estimatedEffort,
      timeoutMs: given.timeoutMs,
    }),
    progress: 0,
    result: null,
    error: null,
    retryCount: 0,
    startedAt: null,
    completedAt: null,
    criteria: [],
    protocol: null,
  };
}

export function toDependency(
  given: DependencyInput,
  of: { readonly tenantId: string; readonly planId: string; readonly place: number },
): PlanDependencyRow {
  return {
    ...of,
    id: given.id ?? newId(),
    sourceId: given.sourceId,
    targetId: given.targetId,
    type: (given.type ?? 'FINISH_TO_START').toLowerCase() as DependencyType,
    lagMs: given.lagMs ?? 0,
    criticality: (given.criticality ?? 'BLOCKING').toLowerCase() as PlanDependencyRow['criticality'],
    condition: given.condition ?? null,
  };
}

export interface PlanFault {
  readonly code: 'PLAN_CREATION_FAILED' | 'CYCLIC_DEPENDENCY' | 'INFEASIBLE_CONSTRAINTS';
  readonly message: string;
  readonly stepIds: readonly string[];
}

function describe(fault: NetworkFault): PlanFault {
  const code = 'PLAN_CREATION_FAILED';
  switch (fault.kind) {
    case 'duplicate_step':
      return { code, message: `expected each step id once, got ${fault.stepId} again`, stepIds: [fault.stepId] };
    case 'duplicate_dependency':
      return { code, message: `expected each dependency id once, got ${fault.dependencyId} again`, stepIds: [] };
    case 'unknown_step':
      return {
        code,
        message: `dependency ${fault.dependencyId}: expected a step of this plan, got ${fault.stepId}`,
        stepIds: [fault.stepId],
      };
    case 'self_dependency':
      return {
        code: 'CYCLIC_DEPENDENCY',
        message: `step ${fault.stepId} depends on itself`,
        stepIds: [fault.stepId],
      };
    case 'invalid_duration':
      return { code, message: `expected a duration from 0, got ${fault.duration}`, stepIds: [fault.stepId] };
    case 'invalid_lag':
      return { code, message: `expected a finite lag, got ${fault.lag}`, stepIds: [] };
  }
}

/** Everything that keeps these rows from being a plan: faults of the network first, else its cycle. */
export function findFaults(steps: readonly PlanStepRow[], dependencies: readonly PlanDependencyRow[]): PlanFault[] {
  const nodes = steps.map(({ id, durationMs }) => ({ id, duration: durationMs }));
  const edges = dependencies.map(({ id, sourceId, targetId, type, lagMs }) => ({
    id,
    source: sourceId,
    target: targetId,
    type,
    lag: lagMs,
  }));
  const faults = [
    ...findNetworkFaults(nodes, edges).map(describe),
    ...findHierarchyFaults(steps).map(
      ({ kind, message, stepIds }): PlanFault => ({
        code: kind === 'cycle' ? 'CYCLIC_DEPENDENCY' : 'PLAN_CREATION_FAILED',
        message,
        stepIds,
      }),
    ),
  ];
  if (faults.length > 0) return faults;
  const expanded = expandComposites(steps, nodes, edges);
  const found = findCycle(createNetwork(expanded.steps, expanded.dependencies));
  const cycle = found && [...new Set(found.map(stepOf))];
  return cycle === null
    ? []
    : [{ code: 'CYCLIC_DEPENDENCY', message: `the dependencies form a cycle: ${nameCycle(cycle)}`, stepIds: cycle }];
}

function nameCycle(cycle: readonly string[]): string {
  const shown = cycle.slice(0, 20).join(' -> ');
  return cycle.length > 20 ? `${shown} -> ... (${cycle.length} steps)` : `${shown} -> ${cycle[0]}`;
}

/** @throws {CYCLIC_DEPENDENCY} {PLAN_CREATION_FAILED} naming the steps. */
export function requireNetwork(
  steps: readonly PlanStepRow[],
  dependencies: readonly PlanDependencyRow[],
  path: readonly (string | number)[],
): void {
  const faults = findFaults(steps, dependencies);
  const first = faults.find(({ code }) => code === 'CYCLIC_DEPENDENCY') ?? faults[0];
  if (!first) return;
  throw new PlatformError(first.code, first.message, {
    path,
    details: {
      ...(first.code === 'CYCLIC_DEPENDENCY' ? { cycle: first.stepIds } : {}),
      faults: faults.slice(0, 20),
    },
  });
}

/** One pass of the critical path method over a network without faults; `planned` says how its steps were found. */
export function summarize(
  definition: PlanDefinition,
  steps: readonly PlanStepRow[],
  dependencies: readonly PlanDependencyRow[],
  planned: { readonly algorithm: string; readonly timeMs: number } = { algorithm: 'critical_path', timeMs: 0 },
): PlanSummaryValue {
  const begun = performance.now();
  const summary = summarizePlan(toPlanProblem(definition, steps, dependencies), {
    risks: definition.risks.map(({ status, ...risk }) => ({ ...risk, status: status ?? undefined })),
    durationRange,
  });
  const { maxCost } = limitsByConstraints(definition);
  const reasons: readonly InfeasibilityReason[] =
    maxCost === null || summary.cost <= maxCost
      ? summary.reasons
      : [...summary.reasons, { reason: 'cost_above_limit', cost: summary.cost, maxCost }];
  const feasible = reasons.length === 0;
  return {
    totalSteps: steps.length,
    durationMs: Math.max(0, Math.round(summary.duration)),
    cost: summary.cost,
    riskScore: summary.risk.score,
    confidence: feasible ? summary.confidence.value : 0,
    feasible,
    reasons,
    criticalPath: summary.criticalStepIds.filter((id) => !isStructural(id)),
    peakUse: summary.peaks,
    planning: {
      ...{ algorithm: planned.algorithm, score: null, quality: null, feasibility: scoreFeasibility(reasons) },
      timeMs: Math.round((planned.timeMs + performance.now() - begun) * 1_000) / 1_000,
    },
  };
}
