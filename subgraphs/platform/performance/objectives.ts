import type { Sql } from '#shared/sql.ts';
import type { Range } from '../monitoring/range.ts';
import type { FigureQuery, Figures } from './figures.ts';

export interface Objective {
  readonly name: string;
  readonly target: number;
  readonly actual: number | null;
  readonly formula: string;
  readonly held: boolean | null;
}

interface Indicator {
  readonly name: string;
  readonly target: number;
  readonly formula: string;
  readonly bad: FigureQuery;
  readonly all: FigureQuery;
}

/** The guide's objectives, each as one less the share of what failed. */
const indicators: readonly Indicator[] = [
  {
    name: 'api_availability',
    target: 0.9995,
    formula: '1 - increase(error_rate{severity="critical"}) / increase(mplp_requests_total)',
    bad: { metric: 'error_rate', fn: 'INCREASE', labels: { severity: 'critical' } },
    all: { metric: 'mplp_requests_total', fn: 'INCREASE' },
  },
  {
    name: 'real_time_services',
    target: 0.999,
    formula: '1 - increase(mplp_real_time_failures_total) / increase(mplp_real_time_total)',
    bad: { metric: 'mplp_real_time_failures_total', fn: 'INCREASE' },
    all: { metric: 'mplp_real_time_total', fn: 'INCREASE' },
  },
  {
    name: 'batch_processing',
    target: 0.995,
    formula: '1 - increase(mplp_jobs_total{status="failed"}) / increase(mplp_jobs_total)',
    bad: { metric: 'mplp_jobs_total', fn: 'INCREASE', labels: { status: 'failed' } },
    all: { metric: 'mplp_jobs_total', fn: 'INCREASE' },
  },
];

async function shareOfMinutes(sql: Sql, tenantId: string, { fromMs, stepMs, steps }: Range): Promise<number | null> {
  const [row] = (await sql.unsafe(
    `SELECT count(DISTINCT date_trunc('minute', m.at))::int AS seen, min(m.at) AS first FROM platform.metric_series s
     JOIN platform.metric_sample m ON m.tenant_id = s.tenant_id AND m.series_id = s.id
     WHERE s.tenant_id = $1 AND s.name = 'mplp_sample_age_seconds' AND m.at >= $2::text::timestamptz AND m.at < $3::text::timestamptz`,
    [tenantId, new Date(fromMs).toISOString(), new Date(fromMs + steps * stepMs).toISOString()],
    { prepare: true },
  )) as unknown as { seen: number; first: Date | null }[];
  if (!row?.first) return null;
  const minute = (ms: number) => Math.floor(ms / 60_000);
  const endMs = Math.min(fromMs + steps * stepMs, Date.now()) - 1;
  return Math.min(1, row.seen / (minute(endMs) - minute(row.first.getTime()) + 1));
}

/** Figures that objectives are held by. */
export const objectiveFigures: readonly FigureQuery[] = indicators.flatMap(({ bad, all }) => [bad, all]);

/** How the objectives stand in the range. */
export async function findObjectives(
  sql: Sql,
  tenantId: string,
  range: Range,
  figures: Figures,
): Promise<readonly Objective[]> {
  const withVerdict = (name: string, target: number, formula: string, actual: number | null): Objective => ({
    name,
    target,
    formula,
    actual,
    held: actual === null ? null : actual >= target,
  });
  const shares = indicators.map(({ name, target, formula, bad, all }) => {
    const total = figures.of(all);
    return withVerdict(
      name,
      target,
      formula,
      total === null || total === 0 ? null : 1 - (figures.of(bad) ?? 0) / total,
    );
  });
  const watched = await shareOfMinutes(sql, tenantId, range);
  return [
    ...shares,
    withVerdict('monitoring_services', 0.9999, 'minutes with a sample / minutes since the first one', watched),
  ];
}
