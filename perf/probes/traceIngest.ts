/**
 * Spans a second of OTLP/JSON requests of 1,000 spans through the trace module's service (JSON.parse, rules, COMMIT,
 * event) against the bare INSERT of the same rows by UNNEST and by COPY into the same table with its indexes, fsync on,
 * with the CPU of this process and of the server. `node perf/probes/traceIngest.ts [batches]`
 */
import { finished } from 'node:stream/promises';
import { runMigrations } from 'graphile-worker';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql, type SqlTransaction } from '#shared/sql.ts';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { migrate } from '../../prisma/migrate.ts';
import { readExportRequest } from '../../subgraphs/trace/otlp/readRequest.ts';
import type { TraceRow } from '../../subgraphs/trace/rows.ts';
import { createTraceService } from '../../subgraphs/trace/service.ts';
import { writeDetail } from '../../subgraphs/trace/store/spanDetail.ts';
import type { SpanToWrite } from '../../subgraphs/trace/store/writeSpans.ts';
import { figure } from '../figure.ts';
import { readTreeCpuMs } from '../processCpu.ts';
import { copyText } from '../seeds/copyRows.ts';
import { tellFigures } from './tellFigures.ts';

const batches = Number(process.argv[2] ?? 60);
const spansPerBatch = 1_000;
const batchesPerTurn = 10;

function requestText(spansPerTrace: number): string {
  const start = Date.now();
  const spans = Array.from({ length: spansPerBatch }, (_, at) => ({ at, root: at % spansPerTrace === 0 }));
  let traceId = '';
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
        scopeSpans: [
          {
            spans: spans.map(({ at, root }) => {
              if (root) traceId = crypto.randomUUID().replaceAll('-', '');
              return {
                traceId,
                spanId: (at + 1).toString(16).padStart(16, '0'),
                ...(root ? {} : { parentSpanId: (at - (at % spansPerTrace) + 1).toString(16).padStart(16, '0') }),
                name: `operation ${at % 20}`,
                kind: 2,
                startTimeUnixNano: `${start + at}000000`,
                endTimeUnixNano: `${start + at + 5}000000`,
                attributes: [
                  { key: 'http.method', value: { stringValue: 'GET' } },
                  { key: 'step.number', value: { intValue: String(at) } },
                ],
              };
            }),
          },
        ],
      },
    ],
  });
}

await using server = await startTemporaryPostgres();
await migrate(server.url);
await runMigrations({ connectionString: server.url });
const sql = createSql(server.url, { applicationName: 'trace-probe', max: 4 });
const copying = new pg.Client({ connectionString: server.url });
await copying.connect();
const bus = createLocalBus((error) => {
  throw error;
});
const service = createTraceService({
  config: readConfig({ NODE_ENV: 'test' }),
  sql,
  bus,
  publisher: createPublisher(bus, null),
  authorizer: createScopeAuthorizer(),
  logger: pino({ level: 'silent' }),
  sqlOf: () => sql,
  codecs: new Map(),
} as never);
const scope = () =>
  createRequestScope({
    principal: createPrincipal({ tenantId: 'one', subject: 'probe', scopes: ['trace:write'] }),
    correlationId: crypto.randomUUID(),
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  });

const ways: Readonly<Record<string, (text: string) => Promise<() => Promise<unknown>>>> = {
  module: async (text) => () => service.ingestOtlp(scope(), JSON.parse(text)),
  // What is to be written stands ready: only the statement and its COMMIT count.
  unnest: async (text) => {
    const rows = readRows(text);
    return () => sql.begin((tx) => insertBare(tx, rows));
  },
  copy: async (text) => {
    const rows = readRows(text);
    return () => copyBare(rows);
  },
};

/** As a driver is handed columns. */
async function insertBare(tx: SqlTransaction, rows: readonly SpanToWrite[]): Promise<void> {
  const cells = rows.map(copied);
  await tx.unsafe(
    `INSERT INTO trace.span (${columns.join(', ')}) SELECT a, b, c, d, e, f, g, h, i, j, k, l, m, n::jsonb
     FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
       $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[]::boolean[], $14::text[])
       AS s(a, b, c, d, e, f, g, h, i, j, k, l, m, n)`,
    columns.map((_column, at) => cells.map((row) => row[at] ?? null)),
    { prepare: true },
  );
}

async function copyBare(rows: readonly SpanToWrite[]): Promise<void> {
  const stream = copying.query(copyFrom(`COPY trace.span (${columns.join(', ')}) FROM STDIN`));
  stream.end(copyText(rows.map(copied)));
  await finished(stream);
}

function readRows(text: string): readonly SpanToWrite[] {
  const createdAt = new Date();
  return readExportRequest(JSON.parse(text)).spans.map((span) => {
    const id = span.traceId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    return { trace: { tenantId: 'bare', id, createdAt } as TraceRow, span, detail: writeDetail(span), late: false };
  });
}

const columns = [
  'tenant_id',
  'trace_id',
  'span_id',
  'traced_at',
  'parent_span_id',
  'name',
  'kind',
  'service',
  'start_ns',
  'end_ns',
  'status',
  'status_message',
  'late',
  'detail',
];

function copied({ trace, span, detail, late }: SpanToWrite): readonly (string | null)[] {
  return [
    trace.tenantId,
    trace.id,
    span.spanId,
    trace.createdAt.toISOString(),
    span.parentSpanId,
    span.name,
    span.kind,
    span.service,
    span.startNs,
    span.endNs,
    span.status,
    span.statusMessage,
    String(late),
    detail,
  ];
}

const serverCpuMs = () => readTreeCpuMs(server.pid) ?? 0;
for (const spansPerTrace of [1_000, 5]) {
  const spent = new Map(Object.keys(ways).map((name) => [name, { ms: 0, process: 0, server: 0 }]));
  // Turn by turn, so that growth of the table and noise of the machine fall on all alike.
  for (let turn = -1; turn < batches / batchesPerTurn; turn += 1) {
    for (const [name, prepare] of Object.entries(ways)) {
      const runs: (() => Promise<unknown>)[] = [];
      for (let at = 0; at < batchesPerTurn; at += 1) runs.push(await prepare(requestText(spansPerTrace)));
      const [began, cpu, serverMs] = [performance.now(), process.cpuUsage(), serverCpuMs()];
      for (const run of runs) await run();
      if (turn < 0) continue;
      const used = process.cpuUsage(cpu);
      const sum = spent.get(name)!;
      sum.ms += performance.now() - began;
      sum.process += (used.user + used.system) / 1_000;
      sum.server += serverCpuMs() - serverMs;
    }
  }
  for (const [name, { ms, process: own, server }] of spent)
    console.log(
      `${spansPerTrace} spans a trace, ${name}: ${((batches * spansPerBatch * 1_000) / ms).toFixed(0)}/s, a batch ` +
        `${(own / batches).toFixed(2)} ms of CPU here and ${(server / batches).toFixed(2)} ms of the server`,
    );
  const share = (name: string) => spent.get(name)!.ms / spent.get('module')!.ms;
  console.log(`module / unnest ${share('unnest').toFixed(2)}, module / copy ${share('copy').toFixed(2)}`);
  const perSecond = (name: string) => Math.round((batches * spansPerBatch * 1_000) / spent.get(name)!.ms);
  tellFigures(
    figure(`spans in batches of 1,000, ${spansPerTrace} a trace, of bare UNNEST`, share('unnest'), 'times', {
      atLeast: 0.8,
      note: `${perSecond('module')} spans a second with JSON.parse, rules, COMMIT and event; UNNEST ${perSecond('unnest')}, COPY ${perSecond('copy')} (${share('copy').toFixed(2)}) of the same rows into the same table, same run; perf/probes/traceIngest.ts`,
    }),
  );
}
await Promise.all([sql.end(), copying.end()]);
