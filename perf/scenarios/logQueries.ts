import { createSql } from '#shared/sql.ts';
import { openLoad } from '../budgets.ts';
import { type Measurement, measurementOf } from '../measurement.ts';
import { boundBy } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import { dayVersion } from '../seeds/dayVersion.ts';
import { readLogDay, seedLogDay } from '../seeds/logDay.ts';
import type { LogQueriesParams } from '../workloads/logQueries.ts';

/** One operation of the log at its row's own mix and rate, over a day of records. */
async function measure(
  environment: PerfEnvironment,
  operation: 'log_query' | 'log_aggregation',
): Promise<Measurement[]> {
  const row = `l1.logging.${operation}`;
  const design = environment.design(row);
  const records = environment.smoke ? 20_000 : design.dataSet['log_records']!;
  const database = await environment.prepareDatabase({
    name: `logday${records}`,
    version: dayVersion(1),
    load: (sql, log) => seedLogDay(sql, records, log),
  });
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-log-day' });
  const day = await readLogDay(sql, records).finally(() => sql.end());
  const server = await environment.startServer({ database });
  const params: LogQueriesParams = {
    day,
    token: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
    mix: design.mix,
  };
  const result = await environment.load({
    workload: new URL('../workloads/logQueries.ts', import.meta.url),
    params,
    server,
    database,
    ...openLoad(design),
  });
  const { pages = 0, records: read = 0, aggregations = 0, buckets = 0 } = result.facts;
  const note =
    operation === 'log_query'
      ? `a page holds ${(read / Math.max(1, pages)).toFixed(1)} records on average; each is held to the seed`
      : `${(buckets / Math.max(1, aggregations)).toFixed(0)} counts in an answer on average; their sum is held to the seed`;
  return [
    measurementOf(result, { row, operation, boundBy: boundBy(result), notes: [note, 'no cache keeps any of it'] }),
  ];
}

export const scenarios: readonly Scenario[] = (['log_query', 'log_aggregation'] as const).map((operation) => ({
  rows: [`l1.logging.${operation}`],
  title: operation === 'log_query' ? 'pages of the log' : 'counts of the log',
  alone: true,
  run: (environment) => measure(environment, operation),
}));
