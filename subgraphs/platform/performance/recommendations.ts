import { derivedId } from '#shared/derivedId.ts';
import { logLevels } from '#shared/logs/record.ts';
import type { Sql } from '#shared/sql.ts';
import type { Range } from '../monitoring/range.ts';
import type { BudgetState } from './budgets.ts';
import type { FigureQuery, Figures, OperationFigures } from './figures.ts';

export interface Recommendation {
  readonly id: string;
  readonly kind: 'RAISE_LOG_LEVEL' | 'SLOW_OPERATION' | 'CACHE_TOO_SMALL' | 'ADD_INSTANCE' | 'CALLERS_ERRORS';
  readonly target: string;
  readonly description: string;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly expectedGain: number;
  readonly gainOf: string;
  readonly risk: string;
  readonly undo: string;
  readonly safe: boolean;
}

/** Fewer records in a range are no burden to anyone. */
const manyRecords = 1_000;
const mostlyLight = 0.9;
const goalHitRatio = 0.9;
const cpuPercent = 70;

interface Evidence {
  readonly range: Range;
  readonly budgets: readonly BudgetState[];
  readonly operations: readonly OperationFigures[];
  readonly figures: Figures;
}

const idOf = (tenantId: string, kind: string, target: string) =>
  derivedId(`recommendation ${tenantId} ${kind} ${target}`);

/** Modules that write much which hardly anyone reads: what the log would be spared is counted, not guessed. */
async function quietModules(
  sql: Sql,
  tenantId: string,
  { fromMs, stepMs, steps }: Range,
): Promise<readonly Recommendation[]> {
  const rows = (await sql.unsafe(
    `SELECT module, sum(count)::int AS records, coalesce(sum(count) FILTER (WHERE level < ${logLevels.WARN}), 0)::int AS light FROM platform.log_rollup
     WHERE tenant_id = $1 AND minute >= $2::text::timestamptz AND minute < $3::text::timestamptz
       AND module NOT IN (SELECT module FROM platform.log_level WHERE tenant_id = $1 AND expires_at > now()) GROUP BY module`,
    [tenantId, new Date(fromMs).toISOString(), new Date(fromMs + stepMs * steps).toISOString()],
    { prepare: true },
  )) as unknown as { module: string; records: number; light: number }[];
  return rows
    .filter(({ records, light }) => records >= manyRecords && light / records >= mostlyLight)
    .map(({ module, records, light }) => ({
      id: idOf(tenantId, 'RAISE_LOG_LEVEL', module),
      kind: 'RAISE_LOG_LEVEL',
      target: module,
      description: `Keep records of ${module} from WARN on, for a day`,
      evidence: { records, belowWarn: light },
      expectedGain: light / records,
      gainOf: `records of ${module}`,
      risk: 'what was below WARN is not there to look into',
      undo: `setLogLevel(module: "${module}", level: DEBUG)`,
      safe: true,
    }));
}

function slowOperations(tenantId: string, { budgets, operations }: Evidence): readonly Recommendation[] {
  const total = operations.reduce((sum, { count, meanMs }) => sum + count * meanMs, 0);
  return budgets
    .filter(({ status }) => status === 'VIOLATED')
    .map(({ id, operation, p95Ms, p99Ms, maxMs, count }) => {
      const own = operations.find((one) => one.operation === operation)!;
      const share = total === 0 ? 0 : (own.count * own.meanMs) / total;
      return {
        id: idOf(tenantId, 'SLOW_OPERATION', operation!),
        kind: 'SLOW_OPERATION',
        target: operation!,
        description: `${operation} takes ${Math.round(p95Ms!)} ms at p95, its bound is ${maxMs} ms: look at its statements and its share of waiting`,
        evidence: { row: id, count, p95Ms, p99Ms, maxMs, meanMs: own.meanMs, shareOfAllTime: share },
        // Within its bound it would take as much less of the time of all.
        expectedGain: share * Math.max(0, 1 - maxMs / p95Ms!),
        gainOf: 'time of all operations',
        risk: 'a change of code',
        undo: 'the change undone',
        safe: false,
      };
    });
}

const increase = (metric: string, labels: Record<string, string> = {}): FigureQuery => ({
  metric,
  fn: 'INCREASE',
  labels,
});
const resources = {
  misses: increase('mplp_cache_requests_total', { grain: 'response', result: 'miss' }),
  lookUps: increase('mplp_cache_requests_total', { grain: 'response' }),
  cpu: { metric: 'mplp_cpu_percent', fn: 'AVG' },
  refused: increase('error_rate', { severity: 'warning' }),
  asked: increase('mplp_requests_total'),
} as const satisfies Record<string, FigureQuery>;

/** Figures that recommendations are made by. */
export const recommendationFigures: readonly FigureQuery[] = Object.values(resources);

function ofResources(tenantId: string, { figures }: Evidence): readonly Recommendation[] {
  const misses = figures.of(resources.misses);
  const lookUps = figures.of(resources.lookUps);
  const cpu = figures.of(resources.cpu);
  const refused = figures.of(resources.refused);
  const asked = figures.of(resources.asked);
  const found: Recommendation[] = [];
  const hitRatio = misses === null || !lookUps ? null : 1 - misses / lookUps;
  if (hitRatio !== null && lookUps! >= 1_000 && hitRatio < goalHitRatio)
    found.push({
      id: idOf(tenantId, 'CACHE_TOO_SMALL', 'response'),
      kind: 'CACHE_TOO_SMALL',
      target: 'response',
      description: `${Math.round(100 * hitRatio)} % of look-ups are answered from the cache: raise CACHE_L1_ENTRIES or CACHE_TTL_MS`,
      evidence: { lookUps, misses, hitRatio, goal: goalHitRatio },
      expectedGain: goalHitRatio - hitRatio,
      gainOf: 'look-ups of the response cache',
      risk: 'more memory',
      undo: 'the former values and a restart',
      safe: false,
    });
  if (cpu !== null && cpu > cpuPercent)
    found.push({
      id: idOf(tenantId, 'ADD_INSTANCE', 'cpu'),
      kind: 'ADD_INSTANCE',
      target: 'cpu',
      description: `The cores were busy ${Math.round(cpu)} % of the time: add an instance`,
      evidence: { cpuPercent: cpu, bound: cpuPercent },
      expectedGain: 1 - cpuPercent / cpu,
      gainOf: 'CPU of an instance',
      risk: 'connections of the database',
      undo: 'one instance less',
      safe: false,
    });
  if (refused !== null && asked !== null && asked >= 100 && refused / asked > 0.05)
    found.push({
      id: idOf(tenantId, 'CALLERS_ERRORS', 'requests'),
      kind: 'CALLERS_ERRORS',
      target: 'requests',
      description: `${Math.round((100 * refused) / asked)} % of requests are refused for what they ask: look at errorStatistics by code`,
      evidence: { refused, asked },
      expectedGain: refused / asked,
      gainOf: 'requests',
      risk: 'none',
      undo: 'none',
      safe: false,
    });
  return found;
}

/** What the evidence of a range recommends, the largest gain first. */
export async function recommend(sql: Sql, tenantId: string, evidence: Evidence): Promise<readonly Recommendation[]> {
  const quiet = await quietModules(sql, tenantId, evidence.range);
  return [...quiet, ...slowOperations(tenantId, evidence), ...ofResources(tenantId, evidence)].toSorted(
    (one, two) => two.expectedGain - one.expectedGain,
  );
}
