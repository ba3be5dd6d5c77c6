import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import type { Logging } from '../logging/service.ts';
import { resourceLines } from '../monitoring/guideRules.ts';
import { type Range, readRange } from '../monitoring/range.ts';
import { bottleneckFigures, findBottlenecks } from './bottlenecks.ts';
import { layerWeights, scoresOf, stateOfBudgets } from './budgets.ts';
import { type FigureQuery, findFigures, findOperations } from './figures.ts';
import { findObjectives, objectiveFigures } from './objectives.ts';
import { type Recommendation, recommend, recommendationFigures } from './recommendations.ts';

const percentileList = z.array(z.number().min(0).max(100)).max(20);

interface GivenRange {
  readonly from?: unknown;
  readonly to?: unknown;
}

const dayMs = 86_400_000;
const top = 10;
const requested: FigureQuery = { metric: 'mplp_requests_total', fn: 'INCREASE' };
const failed: FigureQuery = { metric: 'error_rate', fn: 'INCREASE' };
/** The guide's lines of resources; what grows by the hour says nothing of a range. */
const lines = resourceLines.flatMap(({ name, says, metric, fn }) =>
  fn === 'SLOPE' ? [] : { name, says, query: { metric, fn } satisfies FigureQuery },
);

/** Measured figures against the guide's bounds, and what follows from them. */
export function createPerformance(
  { sql }: ModuleRuntime,
  { logging, once }: { readonly logging: Logging; readonly once: Once },
) {
  const rangeOf = ({ from, to }: GivenRange): Range => readRange({ from, to });
  const endsOf = ({ fromMs, stepMs, steps }: Range) => ({
    from: new Date(fromMs),
    to: new Date(fromMs + stepMs * steps),
  });

  const budgetsIn = async (tenantId: string, range: Range) => {
    const [operations = []] = await findOperations(sql, tenantId, [range]);
    return stateOfBudgets(operations);
  };

  /** Operations and figures of a range, and of another one its operations alone. */
  async function look(tenantId: string, range: Range, queries: readonly FigureQuery[], baseline?: Range) {
    const ranges = baseline === undefined ? [range] : [range, baseline];
    const [operations = [], before = []] = await findOperations(sql, tenantId, ranges);
    const figures = await findFigures(sql, tenantId, range, queries);
    return { range, operations, budgets: stateOfBudgets(operations), before, figures };
  }

  const recommendIn = async (tenantId: string, range: Range) =>
    recommend(sql, tenantId, await look(tenantId, range, recommendationFigures));

  return {
    /** @throws {VALIDATION_FAILED} where a percentile is none. */
    async metric(
      { principal }: RequestScope,
      operation: string,
      { percentiles, ...given }: GivenRange & { readonly percentiles?: unknown },
    ) {
      const asked = parseInput(percentileList, percentiles ?? [], ['percentiles']);
      const search = { operation, percentiles: asked };
      const [figures] = await findOperations(sql, principal.tenantId, [rangeOf(given)], search);
      return figures?.[0] ?? null;
    },

    budgets: ({ principal }: RequestScope, given: GivenRange) => budgetsIn(principal.tenantId, rangeOf(given)),

    async bottlenecks({ principal }: RequestScope, given: GivenRange) {
      const { figures, budgets } = await look(principal.tenantId, rangeOf(given), bottleneckFigures);
      return findBottlenecks(figures, budgets);
    },

    async recommendations(
      { principal }: RequestScope,
      target: string | null,
      given: GivenRange,
    ): Promise<readonly Recommendation[]> {
      const found = await recommendIn(principal.tenantId, rangeOf(given));
      return target === null ? found : found.filter((one) => one.target === target);
    },

    async report({ principal }: RequestScope, given: GivenRange) {
      const { tenantId } = principal;
      const evidence = await look(tenantId, rangeOf(given), [
        requested,
        failed,
        ...lines.map(({ query }) => query),
        ...objectiveFigures,
        ...bottleneckFigures,
        ...recommendationFigures,
      ]);
      const { range, budgets, operations, figures } = evidence;
      const [objectives, recommendations] = await Promise.all([
        findObjectives(sql, tenantId, range, figures),
        recommend(sql, tenantId, evidence),
      ]);
      const requests = figures.of(requested);
      const countOf = (status: string) => budgets.filter((one) => one.status === status).length;
      return {
        ...endsOf(range),
        ...scoresOf(budgets),
        scoreFormula: `score: weight of the measured budget rows that are held / weight of those measured; coverage: weight of those measured / weight of all; overallScore: weight of those held / weight of all; weights by layer: ${Object.entries(
          layerWeights,
        )
          .map(([layer, weight]) => `${layer} ${weight}`)
          .join(', ')}`,
        budgetsHeld: countOf('HELD'),
        budgetsViolated: countOf('VIOLATED'),
        budgetsUnmeasured: countOf('UNMEASURED'),
        requests: requests ?? 0,
        errorRate: requests ? (figures.of(failed) ?? 0) / requests : null,
        topOperations: operations.toSorted((one, two) => two.count - one.count).slice(0, top),
        slowestOperations: operations.toSorted((one, two) => two.p95Ms - one.p95Ms).slice(0, top),
        objectives,
        resources: lines.map(({ name, says, query }) => ({
          name,
          metric: query.metric,
          bound: says,
          value: figures.of(query),
        })),
        bottlenecks: findBottlenecks(figures, budgets),
        recommendations,
      };
    },

    /** A range against the one before it. */
    async analyze(
      { principal }: RequestScope,
      operation: string | null,
      given: GivenRange & { readonly baselineTo?: unknown },
    ) {
      const { tenantId } = principal;
      const range = rangeOf(given);
      const lengthMs = range.stepMs * range.steps;
      const baselineToMs = (given.baselineTo as Date | null | undefined)?.getTime() ?? range.fromMs;
      const baseline = { ...range, fromMs: baselineToMs - lengthMs };
      const now = await look(tenantId, range, [...bottleneckFigures, ...recommendationFigures], baseline);
      const bottlenecks = findBottlenecks(now.figures, now.budgets);
      const recommendations = await recommend(sql, tenantId, now);
      const isMeant = (subject: string) => operation === null || subject === operation;
      const trends = now.operations.flatMap(({ operation: name, p95Ms, count }) => {
        const known = now.before.find((one) => one.operation === name);
        if (!known || known.p95Ms === 0 || !isMeant(name)) return [];
        return [{ operation: name, p95Ms, baselineP95Ms: known.p95Ms, change: p95Ms / known.p95Ms - 1, count }];
      });
      const scored = (budgets: typeof now.budgets) =>
        scoresOf(budgets.filter((one) => operation === null || one.operation === operation)).score;
      const ends = endsOf(baseline);
      return {
        ...endsOf(range),
        baselineFrom: ends.from,
        baselineTo: ends.to,
        score: scored(now.budgets),
        baselineScore: scored(stateOfBudgets(now.before)),
        trends: trends.toSorted((one, two) => Math.abs(two.change) - Math.abs(one.change)),
        bottlenecks: bottlenecks.filter(({ kind, subject }) => kind !== 'OPERATION' || isMeant(subject)),
        recommendations: recommendations.filter(({ target }) => isMeant(target)),
      };
    },

    /** @throws {NOT_FOUND} where nothing recommends it any more. {INVALID_STATE} where it is not safe. */
    async apply(scope: RequestScope, recommendationId: string, key?: string | null): Promise<Recommendation> {
      parseInput(id, recommendationId, ['recommendationId']);
      const { tenantId } = scope.principal;
      return once<Recommendation>(scope, {
        call: callOf(scope, key, 'applyRecommendation', { recommendationId }),
        repeat: async (response) => response as Recommendation,
        async write(tx) {
          const found = (await recommendIn(tenantId, readRange({}))).find((one) => one.id === recommendationId);
          if (!found)
            throw new PlatformError('NOT_FOUND', 'nothing recommends this any more', { path: ['recommendationId'] });
          if (found.kind !== 'RAISE_LOG_LEVEL')
            throw new PlatformError('INVALID_STATE', 'expected a recommendation that is safe', {
              path: ['recommendationId'],
            });
          const rule = { module: found.target, level: 'WARN' as const, ttlMs: dayMs };
          const { changes } = await logging.writeLevel(tx, scope, rule);
          return { row: found, response: found, changes };
        },
      });
    },
  };
}
