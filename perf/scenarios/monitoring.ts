import { createSql } from '#shared/sql.ts';
import { type LoadDesign, openLoad } from '../budgets.ts';
import type { PreparedDatabase } from '../database.ts';
import { type Measurement, measurementOf } from '../measurement.ts';
import { agentTokens, boundBy, measureBeside } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import { dayVersion } from '../seeds/dayVersion.ts';
import { type MetricDays, type MetricSeed, readMetricDays, seedMetrics } from '../seeds/metrics.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { ContextParams } from '../workloads/context.ts';
import { type MonitoringParams, panelNumbers, panelTitle, seriesAt } from '../workloads/monitoring.ts';
import { contextSeed, warmSearch } from './context.ts';

const workload = new URL('../workloads/monitoring.ts', import.meta.url);
const rows = {
  metric_query: 'l1.monitoring.metric_query',
  dashboard_render: 'l1.monitoring.dashboard_render',
} as const;
const allSeries = 500;

/** A database with two days of metrics, as its rows' design has it. */
export async function prepareMetrics(
  environment: PerfEnvironment,
  design: LoadDesign,
): Promise<{ database: PreparedDatabase; days: MetricDays }> {
  const seed: MetricSeed = environment.smoke
    ? { series: 132, samples: 132 * 500 }
    : { series: design.dataSet['series'] ?? allSeries, samples: design.dataSet['samples']! };
  const database = await environment.prepareDatabase({
    name: `metrics${seed.series}`,
    version: dayVersion(2),
    load: (sql, log) => seedMetrics(sql, seed, log),
  });
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-metric-days' });
  return { database, days: await readMetricDays(sql, seed).finally(() => sql.end()) };
}

const createDashboard = `mutation Create($input: PlatformDashboardInput!) {
  createDashboard(input: $input) { dashboard { id } userErrors { code message } }
}`;

async function makeDashboard(server: RunningServer, token: string, { queues }: MetricDays): Promise<string> {
  const panels = panelNumbers.map((number, at) => ({ title: panelTitle(at), query: seriesAt(number, queues).query }));
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query: createDashboard, variables: { input: { title: 'measured', panels } } }),
  });
  const answer = (await response.json()) as { data?: { createDashboard?: { dashboard?: { id: string } | null } } };
  const made = answer.data?.createDashboard?.dashboard;
  if (!made) throw new Error(`expected a dashboard, got ${JSON.stringify(answer).slice(0, 300)}`);
  return made.id;
}

export const scenarios: readonly Scenario[] = [
  {
    rows: Object.values(rows),
    title: 'series and dashboards',
    async run(environment) {
      const design = environment.design(rows.metric_query);
      const { database, days } = await prepareMetrics(environment, design);
      const server = await environment.startServer({ database });
      const token = await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] });
      const params: MonitoringParams = {
        days,
        token,
        dashboardId: await makeDashboard(server, token, days),
        mix: design.mix,
      };
      const result = await environment.load({
        workload,
        params,
        server,
        database,
        ...openLoad(design),
      });
      return Object.entries(rows).map(
        ([operation, row]): Measurement =>
          measurementOf(result, {
            row,
            operation,
            boundBy: boundBy(result),
            notes: [
              operation === 'metric_query' ? '60 steps of a minute' : '12 panels of 60 steps of a minute',
              'every point is held to the seed; no cache keeps any of it',
            ],
          }),
      );
    },
  },
  {
    rows: ['l1.monitoring.metric_collection'],
    title: 'scrape beside the context mix',
    run(environment) {
      const row = 'l1.monitoring.metric_collection';
      const mixRow = environment.design('l2.context_module.get_context');
      const seed = contextSeed(environment, mixRow);
      const contextWorkload = new URL('../workloads/context.ts', import.meta.url);
      const contextParams = async (server: RunningServer): Promise<ContextParams> => ({
        contexts: seed.contexts,
        tokens: await agentTokens(server, 50),
        mix: mixRow.mix,
      });
      return measureBeside<MonitoringParams>(environment, {
        row,
        operation: 'metric_collection',
        seed,
        workload,
        params: async (server) => ({
          token: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
          mix: environment.design(row).mix,
        }),
        warm: async (server, database) =>
          warmSearch(environment, {
            workload: contextWorkload,
            params: await contextParams(server),
            server,
            database,
          }),
        beside: { workload: contextWorkload, ratePerSecond: mixRow.ratePerSecond! / 2, params: contextParams },
        notes: ({ facts }) => [`a page of ${((facts['pageBytes'] ?? 0) / 1_024).toFixed(0)} KiB`],
      });
    },
  },
];
