import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import type { Logging } from '../logging/service.ts';
import { resourceLines } from '../monitoring/guideRules.ts';
import { type Range, readRange } from '../monitoring/reading.ts';
import { findBottlenecks } from './bottlenecks.ts';
import { layerWeights, scoreOf, stateOfBudgets } from './budgets.ts';
import { findFigure, findOperations } from './figures.ts';
import { findObjectives } from './objectives.ts';
import { type Recommendation, recommend } from './recommendations.ts';

interface GivenRange {
  readonly from?: unknown;
  readonly to?: unknown;
}

const dayMs = 86_400_000;
const top = 10;

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

  async function look(tenantId: string, range: Range) {
    const operations = await findOperations(sql, tenantId, range);
    const budgets = stateOfBudgets(operations);
    return { range, operations, budgets };
  }

  return {
    async metric({ principal }: RequestScope, operation: string, given: GivenRange) {
      const [figures] = await findOperations(sql, principal.tenantId, rangeOf(given), operation);
      return figures ?? null;
    },

    async budgets({ principal }: RequestScope, given: GivenRange) {
      return (await look(principal.tenantId, rangeOf(given))).budgets;
    },

    async bottlenecks({ principal }: RequestScope, given: GivenRange) {
      const { range, budgets } = await look(principal.tenantId, rangeOf(given));
      return findBottlenecks(sql, principal.tenantId, range, budgets);
    },

    async recommendations(
      { principal }: RequestScope,
      target: string | null,
      given: GivenRange,
    ): Promise<readonly Recommendation[]> {
      const evidence = await look(principal.tenantId, rangeOf(given));
      const found = await recommend(sql, principal.tenantId, evidence);
      return target === null ? found : found.filter((one) => one.target === target);
    },

    async report({ principal }: RequestScope, given: GivenRange) {
      const { tenantId } = principal;
      const evidence = await look(tenantId, rangeOf(given));
      const { range, budgets, operations } = evidence;
      const [requests, failures, objectives, resources, bottlenecks, recommendations] = await Promise.all([
        findFigure(sql, tenantId, range, { metric: 'mplp_requests_total', fn: 'INCREASE' }),
        findFigure(sql, tenantId, range, { metric: 'error_rate', fn: 'INCREASE' }),
        findObjectives(sql, tenantId, range),
        Promise.all(
          resourceLines
            .filter(({ fn }) => fn !== 'SLOPE')
            .map(async ({ name, metric, says, fn }) => ({
              name,
              metric,
              bound: says,
              value: await findFigure(sql, tenantId, range, { metric, fn: fn as 'AVG' }),
            })),
        ),
        findBottlenecks(sql, tenantId, range, budgets),
        recommend(sql, tenantId, evidence),
      ]);
      const countOf = (status: string) => budgets.filter((one) => one.status === status).length;
      return {
        ...endsOf(range),
        score: scoreOf(budgets),
        scoreFormula: `weight of the measured budget rows that are held / weight of those measured; weights by layer: ${Object.entries(
          layerWeights,
        )
          .map(([layer, weight]) => `${layer} ${weight}`)
          .join(', ')}`,
        budgetsHeld: countOf('HELD'),
        budgetsViolated: countOf('VIOLATED'),
        budgetsUnmeasured: countOf('UNMEASURED'),
        requests: requests ?? 0,
        errorRate: requests ? (failures ?? 0) / requests : null,
        topOperations: operations.toSorted((one, two) => two.count - one.count).slice(0, top),
        slowestOperations: operations.toSorted((one, two) => two.p95Ms - one.p95Ms).slice(0, top),
        objectives,
        resources,
        bottlenecks,
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
      const [now, before] = await Promise.all([look(tenantId, range), look(tenantId, baseline)]);
      const [bottlenecks, recommendations] = await Promise.all([
        findBottlenecks(sql, tenantId, range, now.budgets),
        recommend(sql, tenantId, now),
      ]);
      const isMeant = (subject: string) => operation === null || subject === operation;
      const trends = now.operations.flatMap(({ operation: name, p95Ms, count }) => {
        const known = before.operations.find((one) => one.operation === name);
        if (!known || known.p95Ms === 0 || !isMeant(name)) return [];
        return [{ operation: name, p95Ms, baselineP95Ms: known.p95Ms, change: p95Ms / known.p95Ms - 1, count }];
      });
      const scored = (budgets: typeof now.budgets) =>
        scoreOf(budgets.filter((one) => operation === null || one.operation === operation));
      const ends = endsOf(baseline);
      return {
        ...endsOf(range),
        baselineFrom: ends.from,
        baselineTo: ends.to,
        score: scored(now.budgets),
        baselineScore: scored(before.budgets),
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
          const evidence = await look(tenantId, readRange({}));
          const found = (await recommend(sql, tenantId, evidence)).find((one) => one.id === recommendationId);
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
