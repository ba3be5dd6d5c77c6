import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { exportFormats } from '#shared/exports/exportQuery.ts';
import { createSql } from '#shared/sql.ts';
import type { PreparedDatabase } from '../database.ts';
import { type Measurement, measurementOf } from '../measurement.ts';
import { boundBy } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { seedAudit, seedReports } from '../seeds/batch.ts';
import { perfTenant } from '../seeds/context.ts';
import { dayVersion } from '../seeds/dayVersion.ts';
import { type BatchParams, bulkOperation } from '../workloads/batch.ts';

const workload = new URL('../workloads/batch.ts', import.meta.url);
const gigabyte = 1e9;
const minuteMs = 60_000;
const drainMs = 30_000;
const recordsPerRequest = 1_000;
const spansPerImport = 20_000;
const requestTimeoutMs = 120_000;

async function start(environment: PerfEnvironment, row: string, seed?: SeedOptions) {
  const database = await environment.prepareDatabase(seed);
  const server = await environment.startServer({ database });
  const token = await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] });
  const { url, origin } = server;
  const design = environment.design(row);
  const load = (params: Omit<BatchParams, 'url' | 'origin' | 'token'>) =>
    environment.load({
      workload,
      params: { url, origin, token, ...params } satisfies BatchParams,
      server,
      database,
      arrival: { kind: 'closed', concurrency: design.concurrency! },
      durationSeconds: design.durationSeconds,
      timeoutMs: requestTimeoutMs,
    });
  return { database, load };
}

/** Bytes a second that PostgreSQL hands over of the same rows to a client that drops them. */
async function copyAlone(database: PreparedDatabase, format: string): Promise<number> {
  const client = new pg.Client({ connectionString: database.url, statement_timeout: requestTimeoutMs });
  await client.connect();
  let bytes = 0;
  const startedMs = performance.now();
  try {
    const text = `COPY (SELECT * FROM context.audit WHERE tenant_id = '${perfTenant}') TO STDOUT (FORMAT ${format})`;
    for await (const chunk of client.query(copyTo(text))) bytes += (chunk as Buffer).length;
  } finally {
    await client.end();
  }
  return (bytes * 1_000) / (performance.now() - startedMs);
}

const rounds = 5;

/** The best of some rounds: what disturbs one makes it slower, nothing makes it faster. */
async function ceilingOf(database: PreparedDatabase, format: string): Promise<number> {
  let best = 0;
  for (let round = 0; round < rounds; round += 1) best = Math.max(best, await copyAlone(database, format));
  return best;
}

async function countAudit(database: PreparedDatabase, to: string): Promise<number> {
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-count', statementTimeoutMs: 60_000 });
  try {
    const [row] = await sql<{ n: number }[]>`
      SELECT count(*) AS n FROM context.audit WHERE tenant_id = ${perfTenant} AND created_at < ${to}::text::timestamptz`;
    return row!.n;
  } finally {
    await sql.end();
  }
}

/** Waits until all records are in the table. @returns how many are there, and when the last of them was seen, epoch ms. */
async function drained(database: PreparedDatabase, expected: number): Promise<{ stored: number; atMs: number }> {
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-drain', statementTimeoutMs: 60_000 });
  try {
    const giveUpMs = Date.now() + drainMs;
    for (;;) {
      const [row] = await sql<{ n: number }[]>`
        SELECT count(*) AS n FROM platform.log WHERE tenant_id = ${perfTenant} AND module = 'bulk' AND operation = ${bulkOperation}`;
      if (row!.n >= expected || Date.now() > giveUpMs) return { stored: row!.n, atMs: Date.now() };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await sql.end();
  }
}

export const scenarios: readonly Scenario[] = [
  {
    rows: ['throughput.batch_operations.report_generation'],
    title: 'reports of contexts',
    async run(environment) {
      const row = 'throughput.batch_operations.report_generation';
      const { contexts = 0, history_events: events = 0 } = environment.design(row).dataSet;
      const seed = environment.smoke
        ? { contexts: 5, eventsPerContext: 150 }
        : { contexts, eventsPerContext: events / contexts };
      const { load } = await start(environment, row, {
        name: `reports${seed.contexts}x${seed.eventsPerContext}`,
        version: dayVersion(1),
        load: (sql, log) => seedReports(sql, seed, log),
      });
      const result = await load({ operation: 'context_report', ...seed });
      return [
        measurementOf(result, {
          row,
          variant: 'as files',
          achieved: result.achievedPerSecond * 60,
          boundBy: boundBy(result),
          notes: [
            `createReport until the last byte of its file: a context’s history of ${seed.eventsPerContext} events, read with the caller’s rights; p95 ${result.latency.p95Ms.toFixed(0)} ms, CPU is that of a report`,
            'length, SHA-256 and events of every file are looked at',
          ],
        }),
      ];
    },
  },
  {
    rows: ['throughput.batch_operations.data_export'],
    title: 'exports of the audit',
    async run(environment) {
      const row = 'throughput.batch_operations.data_export';
      const rows = environment.smoke ? 2_000 : environment.design(row).dataSet['audit_rows']!;
      const { database, load } = await start(environment, row, {
        name: `audit${rows}`,
        version: 1,
        load: (sql, log) => seedAudit(sql, rows, log),
      });
      const result = await load({ operation: 'audit_export', rows });
      const { bytes = 0, busyMs = 0, writingMs = 0 } = result.facts;
      const files = measurementOf(result, {
        row,
        variant: 'as files',
        achieved: busyMs === 0 ? 0 : (bytes / gigabyte) * (minuteMs / busyMs),
        boundBy: boundBy(result),
        notes: [
          `exportAudit of ${rows} rows in NDJSON, one after the other, until the last byte of its file: ${((100 * writingMs) / Math.max(1, busyMs)).toFixed(0)} % of the time it is written; warm-up included`,
          'length, SHA-256 and lines of every file are looked at',
        ],
      });
      const streamed: Measurement[] = [];
      for (const format of exportFormats) {
        const to = new Date().toISOString();
        // The exports write of themselves into the audit: those before this one are in it.
        const count = await countAudit(database, to);
        const alone = environment.smoke ? 0 : await ceilingOf(database, format === 'binary' ? 'binary' : 'text');
        const stream = await load({ operation: 'stream_export', format, rows: count, to });
        const facts = { bytes: stream.facts['bytes'] ?? 0, busyMs: stream.facts['busyMs'] ?? 0 };
        const perSecond = facts.busyMs === 0 ? 0 : (facts.bytes * 1_000) / facts.busyMs;
        const after = environment.smoke ? 0 : await ceilingOf(database, format === 'binary' ? 'binary' : 'text');
        const perMinute = (bytesPerSecond: number) => (bytesPerSecond / gigabyte) * 60;
        streamed.push(
          measurementOf(stream, {
            row,
            variant: `streamed, ${format}`,
            achieved: perMinute(perSecond),
            boundBy: boundBy(stream),
            notes: [
              `GET /v1/export/context/audit of ${count} rows, one after the other, read to the trailer that counts them; warm-up included`,
              ...(environment.smoke
                ? []
                : [
                    `bare COPY of the same rows to a client that drops them, best of ${rounds} before and of ${rounds} after: ${perMinute(alone).toFixed(2)} and ${perMinute(after).toFixed(2)} GB/min; the stream makes ${((200 * perSecond) / (alone + after)).toFixed(0)} % of it in bytes`,
                  ]),
            ],
          }),
        );
      }
      return [files, ...streamed];
    },
  },
  {
    rows: ['throughput.batch_operations.bulk_data_processing'],
    title: 'records in bulk',
    async run(environment) {
      const row = 'throughput.batch_operations.bulk_data_processing';
      const { database, load } = await start(environment, row);
      const size = environment.smoke ? 100 : recordsPerRequest;
      const result = await load({ operation: 'write_logs', recordsPerRequest: size });
      const { accepted = 0, dropped = 0, firstAtMs = 0 } = result.facts;
      const { stored, atMs } = await drained(database, accepted);
      const lost = Math.max(0, accepted - stored);
      const measurement = measurementOf(result, {
        row,
        variant: 'durable',
        achieved: (stored * minuteMs) / Math.max(1, atMs - firstAtMs),
        boundBy: boundBy(result),
        notes: [
          `writeLogs with ${size} records a request, from the first record sent until the last was found in the table; warm-up included`,
          `${stored} stored of ${accepted} accepted; ${dropped} came while the buffer was full and were refused in the answer`,
          'log records are what the platform takes in the largest batches, each checked and redacted',
        ],
      });
      const logs: Measurement =
        lost === 0
          ? measurement
          : {
              ...measurement,
              wrong: measurement.wrong + lost,
              wrongExamples: [`${lost} accepted records are not there`],
            };
      const spans = environment.smoke ? 200 : spansPerImport;
      const imported = await load({ operation: 'import_spans', recordsPerRequest: spans });
      const { accepted: storedSpans = 0, busyMs = 0 } = imported.facts;
      return [
        logs,
        measurementOf(imported, {
          row,
          variant: 'imports of spans',
          achieved: busyMs === 0 ? 0 : (storedSpans * minuteMs) / busyMs,
          boundBy: boundBy(imported),
          notes: [
            `POST /v1/import/trace/spans of ${spans} lines, one after the other, until the last report: 1,000 lines a transaction, with the traces and events they make; warm-up included`,
          ],
        }),
      ];
    },
  },
];
