import { PlatformError } from '#shared/errors.ts';
import { scoreRisks } from '../analysis/index.ts';
import { assessConstraints } from '../constraints/index.ts';
import type { RequestContext } from '../context.ts';
import type { PlanPauseCause, Resolvers } from '../resolvers.generated.ts';
import type { PlanRow, PlanStepExecutionRow } from '../rows.ts';
import { isReady, openReviewsOf, overallProgressOf } from '../updatePayload.ts';
import type { PlanState } from './forecast.ts';
import { trackMilestones, trackObjectives } from './goals.ts';
import { reportRun } from './report.ts';
import { traceTimeline } from './timeline.ts';

async function stateOf(plan: PlanRow, { loaders }: RequestContext): Promise<PlanState> {
  const [steps, dependencies] = await Promise.all([loaders.steps.load(plan.id), loaders.dependencies.load(plan.id)]);
  return { plan, steps, dependencies };
}

const riskCategories = ['TECHNICAL', 'RESOURCE', 'SCHEDULE', 'SCOPE', 'EXTERNAL'] as const;

const instant = (at: number | null) => (at === null ? null : new Date(at).toISOString());

export const monitoringOfPlan: Pick<
  Resolvers['Plan'] & object,
  'constraints' | 'milestones' | 'objectives' | 'planningMetadata' | 'riskAssessment' | 'timeline'
> = {
  constraints: async (row, _args, context) => assessConstraints(await stateOf(row, context)),
  planningMetadata: ({ schedule, summary }) => {
    const { planning, confidence, feasible } = summary;
    return {
      algorithmUsed: planning?.algorithm ?? 'critical_path',
      optimizationScore: schedule === null ? null : (planning?.score ?? null),
      feasibilityScore: planning?.feasibility ?? (feasible ? 1 : 0),
      confidence,
      planningTimeMs: planning?.timeMs ?? null,
    };
  },
  timeline: async (row, _args, context) => {
    const [state, runs] = await Promise.all([
      stateOf(row, context),
      context.loaders.planExecutions.load(row.id, null, { first: 1 }),
    ]);
    const { start, end, estimatedEnd, ...timeline } = traceTimeline(state, runs.nodes[0] ?? null, Date.now());
    return { ...timeline, start: instant(start), end: instant(end), estimatedEnd: instant(estimatedEnd) };
  },
  milestones: async (row, _args, context) => {
    const [state, runs] = await Promise.all([
      stateOf(row, context),
      context.loaders.planExecutions.load(row.id, null, { first: 1 }),
    ]);
    const latest = runs.nodes[0];
    return trackMilestones(state, latest ? Date.parse(latest.startedAt) : null, Date.now()).map(
      ({ targetAt, forecastAt, achievedAt, stepIds, successCriteria, ...milestone }) => ({
        ...milestone,
        ...{ targetDate: instant(targetAt), forecastDate: instant(forecastAt), achievedAt: instant(achievedAt) },
        ...{ stepIds: [...stepIds], successCriteria: [...successCriteria] },
      }),
    );
  },
  objectives: async (row, _args, context) =>
    trackObjectives(await stateOf(row, context)).map(({ stepIds, successCriteria, ...objective }) => ({
      ...objective,
      ...{ stepIds: [...stepIds], successCriteria: [...successCriteria] },
    })),
  riskAssessment: ({ definition: { risks } }) => {
    const { ranked, level, score, combined } = scoreRisks(
      risks.map(({ status, ...risk }) => ({ ...risk, status: status ?? undefined })),
    );
    const levels = new Map(ranked.map(({ name, level: of }) => [name, of]));
    return {
      overall: level.toUpperCase() as 'LOW',
      ...{ score, combined },
      risks: risks.map(({ name, probability, impact, status, category, mitigation, contingency }) => ({
        ...{ name, probability, impact, mitigation, contingency },
        category: riskCategories.find((one) => one === category?.toUpperCase()) ?? null,
        status: (status ?? 'identified').toUpperCase() as 'IDENTIFIED',
        level: (levels.get(name) ?? 'low').toUpperCase() as 'LOW',
      })),
    };
  },
};

export const monitoringOfRuns: Pick<Resolvers, 'PlanExecution' | 'PlanStepExecution'> = {
  PlanExecution: {
    phase: async (row, _args, { loaders }) =>
      row.status === 'RUNNING' ? phaseOf(await loaders.taskProgress.load(row.id)) : row.status,
    __resolveReference: ({ id }, { loaders }) => loaders.execution.load(id),
    executionId: (row) => row.id,
    maxConcurrentTasks: (row) => row.maxConcurrent,
    pausedBy: ({ pausedBy }) => pausedBy as PlanPauseCause | null,
    overallProgress: (row) => overallProgressOf(row),
    taskProgress: async (row, _args, { loaders }) => [...(await loaders.taskProgress.load(row.id))],
    report: async (row, _args, context) => {
      const [plan, rows] = await Promise.all([
        context.loaders.plan.load(row.planId),
        context.loaders.taskProgress.load(row.id),
      ]);
      if (!plan) return null;
      const report = requireReport(row, await stateOf(plan, context), { rows, now: Date.now() });
      return {
        ...report,
        ...{ estimatedCompletion: instant(report.estimatedCompletion), deadline: instant(report.deadline) },
        ...{ alerts: [...report.alerts], resourceUsage: [...report.resourceUsage] },
        deviations: report.deviations.map(({ stepId, startDelay, finishDelay, costOverrun, progressGap }) => ({
          ...{ stepId, costOverrun, progressGap },
          ...{ startDelayMs: startDelay, finishDelayMs: finishDelay },
        })),
      };
    },
  },
  PlanStepExecution: {
    status: (row) => row.status.toUpperCase() as Uppercase<typeof row.status>,
    ready: (row) => isReady(row),
    agentId: (row) => row.leaseOwner,
    waivedDependencies: (row) => [...row.waived],
    openReviews: (row) => openReviewsOf(row),
  },
};

/** @throws {EXECUTION_MONITORING_FAILED} where what is stored makes no network. */
function requireReport(...[run, state, at]: Parameters<typeof reportRun>): ReturnType<typeof reportRun> {
  try {
    return reportRun(run, state, at);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PlatformError('EXECUTION_MONITORING_FAILED', `execution ${run.id}: ${error.message}`, { cause: error });
  }
}

/** Of a run at work, by its steps; composite ones follow from theirs. */
function phaseOf(rows: readonly PlanStepExecutionRow[]): 'STARTING' | 'RUNNING' | 'COMPLETING' {
  const own = rows.filter(({ composite }) => !composite);
  if (own.every(({ status, startedAt }) => status === 'pending' && startedAt === null)) return 'STARTING';
  return own.every(({ status }) => ['finishing', 'completed', 'skipped'].includes(status)) ? 'COMPLETING' : 'RUNNING';
}
