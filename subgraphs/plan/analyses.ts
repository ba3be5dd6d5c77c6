import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVisible } from './access.ts';
import { type EarnedValueStep, findDeviations, measureEarnedValue } from './analysis/index.ts';
import { limitsByConstraints } from './constraints/index.ts';
import { findFaults, type PlanFault } from './network.ts';
import type { OptimizeOutcome, OptimizeTask } from './optimizeThread.ts';
import { unknownPlan } from './planChanges.ts';
import { type Optimization, optimizationOf } from './planDefaults.ts';
import { createPlanningThreads } from './planningThreads.ts';
import { toPlanProblem } from './planProblem.ts';
import type { AnalyzeOutcome, AnalyzeTask } from './planThread.ts';
import { limitResources, type ResourceLimits, requireDatedWeeks } from './resourceLimits.ts';
import type { Roles } from './roles.ts';
import type { PlanningValue, PlanRow, PlanStepRow } from './rows.ts';
import type { Target } from './scheduling/index.ts';
import { findDependencies, findLatestExecution, findPlans, findSteps } from './store.ts';

interface Constraints {
  readonly maxDurationMs?: number | null | undefined;
  readonly maxCost?: number | null | undefined;
  readonly minQuality?: number | null | undefined;
  readonly availableResources?: ResourceLimits | null | undefined;
}

/** Part of the key of a kept analysis: raised where what is kept gets another shape. */
const shapeVersion = 2;
const analysisThread = new URL('./planThread.ts', import.meta.url);
const optimizeThread = new URL('./optimizeThread.ts', import.meta.url);

/** What is computed about stored plans, off the event loop. */
export function createAnalyses(runtime: ModuleRuntime, roles: Pick<Roles, 'findIds'>) {
  const { sql } = runtime;
  const planning = createPlanningThreads(runtime);

  async function load(principal: Principal, planId: string) {
    const { tenantId } = principal;
    const [[plan]] = isId(planId)
      ? await Promise.all([findPlans(sql, tenantId, [planId]), requireVisible(sql, principal, 'plan', planId)])
      : [[]];
    if (!plan) throw unknownPlan();
    const [steps, dependencies] = await Promise.all([
      findSteps(sql, tenantId, [planId]),
      findDependencies(sql, tenantId, [planId]),
    ]);
    return { plan, steps, dependencies };
  }

  /** Of the latest run: work as budget where no rate prices it, at the time from its start. */
  async function earned(plan: PlanRow, steps: readonly PlanStepRow[], dates: AnalyzeOutcome['steps']) {
    const run = await findLatestExecution(sql, plan.tenantId, plan.id);
    if (!run) return { earnedValue: null, deviations: null };
    const started = Date.parse(run.startedAt);
    const now = (run.completedAt === null ? Date.now() : Date.parse(run.completedAt)) - started;
    const values = steps.map((step, at): EarnedValueStep => {
      const rate = (step.details.costPerHour ?? 1) / 3_600_000;
      const actualStart = step.startedAt === null ? undefined : Date.parse(step.startedAt) - started;
      const actualFinish = step.completedAt === null ? undefined : Date.parse(step.completedAt) - started;
      return {
        stepId: step.id,
        budget: step.durationMs * rate,
        plannedStart: dates[at]!.esMs,
        plannedFinish: dates[at]!.efMs,
        progress: step.status === 'completed' ? 1 : step.progress,
        actualCost: actualStart === undefined ? 0 : ((actualFinish ?? now) - actualStart) * rate,
        actualStart,
        actualFinish,
      };
    });
    return {
      earnedValue: measureEarnedValue(values, { now }),
      deviations: findDeviations(values, { now }).slice(0, 100),
    };
  }

  return {
    /** @throws {NOT_FOUND} {VALIDATION_FAILED} {PLANNING_ALGORITHM_ERROR} */
    async analyze(
      principal: Principal,
      planId: string,
      options: { readonly samples: number; readonly seed: number; readonly deadlineMs: number | null },
      signal?: AbortSignal,
    ) {
      if (options.samples < 100 || options.samples > 20_000)
        throw new PlatformError('VALIDATION_FAILED', `samples: expected 100 to 20000, got ${options.samples}`, {
          path: ['samples'],
        });
      const { tenantId } = principal;
      const { plan, steps, dependencies } = await load(principal, planId);
      const key = JSON.stringify([shapeVersion, options.samples, options.seed, options.deadlineMs]);
      const [known] = (await sql.unsafe(
        'SELECT result FROM plan.analysis WHERE tenant_id = $1 AND plan_id = $2 AND version = $3 AND key = $4',
        [tenantId, planId, plan.version, key],
        { prepare: true },
      )) as unknown as { result: AnalyzeOutcome }[];
      let result = known?.result;
      if (!result) {
        const problem = toPlanProblem(plan.definition, steps, dependencies);
        const task: AnalyzeTask = {
          plan: { ...problem, deadline: options.deadlineMs ?? problem.deadline },
          risks: plan.definition.risks.map(({ status, ...risk }) => ({ ...risk, status: status ?? undefined })),
          samples: options.samples,
          seed: options.seed,
        };
        result = await planning.run<AnalyzeOutcome>(analysisThread, 'analyze', task, {
          lane: 'interactive',
          signal,
          timeoutMs: 60_000,
        });
        await sql.unsafe(
          `WITH old AS (DELETE FROM plan.analysis WHERE tenant_id = $1 AND plan_id = $2 AND version < $3)
           INSERT INTO plan.analysis (tenant_id, plan_id, version, key, result) VALUES ($1, $2, $3, $4, $5::text::jsonb) ON CONFLICT DO NOTHING`,
          [tenantId, planId, plan.version, key, JSON.stringify(result)],
          { prepare: true },
        );
      }
      return { planId, version: plan.version, ...result, ...(await earned(plan, steps, result.steps)) };
    },

    /** @throws {INFEASIBLE_CONSTRAINTS} {NOT_FOUND} {PLANNING_ALGORITHM_ERROR} */
    async optimize(
      principal: Principal,
      input: Asked & {
        readonly planId: string;
        readonly iterations: number;
        readonly maxOptimizationTimeMs: number;
        readonly seed: number;
        readonly reproducible: boolean;
        readonly algorithm?: 'SIMULATED_ANNEALING' | 'GENETIC' | null | undefined;
      },
      signal?: AbortSignal,
    ): Promise<OptimizeOutcome & { readonly version: number; readonly found: Omit<PlanningValue, 'feasibility'> }> {
      const { plan, steps, dependencies } = await load(principal, input.planId);
      const { strategy, constraints, ...asked } = withPlanned(input, optimizationOf(plan.definition));
      const kept = limitsByConstraints(plan.definition);
      const { resources: planned } = plan.definition;
      const path = ['input', 'constraints', 'availableResources'];
      const resources = limitResources(planned, constraints?.availableResources, path);
      requireDatedWeeks({ ...plan.definition, resources }, path);
      const task: OptimizeTask = {
        plan: toPlanProblem({ ...plan.definition, resources }, steps, dependencies),
        targets: input.targets.map((target) => target.toLowerCase() as Target),
        strategy,
        targetMakespanMs: strategy === 'COST_OPTIMAL' ? requireTarget(plan, asked.targetMakespanMs) : null,
        maxCrashCost: asked.maxCrashCost ?? null,
        limits: {
          maxDurationMs: constraints?.maxDurationMs ?? null,
          maxCost: lower(constraints?.maxCost, kept.maxCost),
          minQuality: higher(constraints?.minQuality, kept.minQuality),
        },
        maxSchedules: input.iterations,
        maxMilliseconds: input.maxOptimizationTimeMs,
        seed: input.seed,
        reproducible: input.reproducible,
        algorithm: input.algorithm === 'GENETIC' ? 'genetic' : 'annealing',
        current: plan.schedule,
      };
      const begun = performance.now();
      const outcome = await planning.run<OptimizeOutcome>(optimizeThread, 'optimize', task, {
        lane: 'interactive',
        signal,
        timeoutMs: input.maxOptimizationTimeMs * 3 + 5_000,
      });
      return {
        ...outcome,
        version: plan.version,
        found: {
          algorithm: `rcpsp_${strategy.toLowerCase()}${input.algorithm === 'GENETIC' ? '_genetic' : ''}`,
          score: outcome.after.score,
          quality: outcome.after.quality,
          timeMs: Math.round((performance.now() - begun) * 1_000) / 1_000,
        },
      };
    },

    /** Faults of the network, which stored plans do not have unless imported so, what makes it infeasible, and unknown roles. */
    async validate(principal: Principal, planId: string): Promise<PlanCheck[]> {
      const { plan, steps, dependencies } = await load(principal, planId);
      const reasons = plan.summary.reasons.map(
        (reason): PlanFault => ({
          code: 'INFEASIBLE_CONSTRAINTS',
          message: reason.reason.replaceAll('_', ' '),
          stepIds: 'stepId' in reason ? [reason.stepId] : [],
        }),
      );
      const named = [...new Set(steps.flatMap(({ agentRole }) => (agentRole === null ? [] : [agentRole])))];
      const ids = await roles.findIds(principal, named);
      const unknown = named
        .filter((_, at) => ids[at] === null)
        .map(
          (role): PlanCheck => ({
            ...{ severity: 'WARNING', code: 'NOT_FOUND', message: `no role has the id or the name ${role}` },
            stepIds: steps.filter(({ agentRole }) => agentRole === role).map(({ id }) => id),
          }),
        );
      const short: PlanCheck[] =
        plan.summary.durationMs >= shortestPlanMs
          ? []
          : [
              {
                ...{ severity: 'WARNING', code: 'INFEASIBLE_CONSTRAINTS', stepIds: [] },
                message: `a plan lasts a minute at least, this one ${plan.summary.durationMs} ms`,
              },
            ];
      const errors = [...findFaults(steps, dependencies), ...reasons];
      return [...errors.map((fault) => ({ ...fault, severity: 'ERROR' as const })), ...unknown, ...short];
    },
  };
}

/** Shorter ones are made, by agents and of milestones alone: they are warned of. */
const shortestPlanMs = 60_000;

/** What a check of a stored plan found. */
export interface PlanCheck {
  readonly severity: 'ERROR' | 'WARNING';
  readonly code: PlanFault['code'] | 'NOT_FOUND';
  readonly message: string;
  readonly stepIds: readonly string[];
}

const lower = (one: number | null | undefined, other: number | null): number | null =>
  one == null ? other : Math.min(one, other ?? Infinity);
const higher = (one: number | null | undefined, other: number | null): number | null =>
  one == null ? other : Math.max(one, other ?? 0);

interface Asked {
  readonly targets: readonly string[];
  readonly strategy?: OptimizeTask['strategy'] | null | undefined;
  readonly targetMakespanMs?: number | null | undefined;
  readonly maxCrashCost?: number | null | undefined;
  readonly constraints?: Constraints | null | undefined;
}

/** What is asked for, else what the plan says: its strategy, with what belongs to it, where neither strategy nor targets are. */
function withPlanned(input: Asked, planned: Optimization) {
  const free = input.strategy == null && input.targets.join() === 'TIME';
  const { strategy, targetMakespanMs, maxCrashCost } = free ? planned : input;
  return {
    strategy: strategy ?? ('TIME_OPTIMAL' as const),
    ...{ targetMakespanMs, maxCrashCost },
    constraints: input.constraints ?? planned.constraints,
  };
}

/** The makespan to reach: never past the plan's deadline. @throws {VALIDATION_FAILED} where neither is given. */
function requireTarget({ definition }: PlanRow, given: number | null | undefined): number {
  const target = Math.min(given ?? Infinity, definition.deadlineMs ?? Infinity);
  if (target < Infinity) return target;
  throw new PlatformError('VALIDATION_FAILED', 'targetMakespanMs: expected one, or a plan with a deadline', {
    path: ['input', 'targetMakespanMs'],
  });
}
