/**
 * Spans a second of OTLP/JSON requests of 1,000 spans through the trace module's service (JSON.parse, rules, COMMIT,
 * event) against the bare INSERT of the same rows by UNNEST and by COPY into the same table with its indexes, fsync on.
 * `node perf/probes/traceIngest.ts [batches]`
 */
import { runMigrations } from 'graphile-worker';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { migrate } from '../../prisma/migrate.ts';
import { readExportRequest } from '../../subgraphs/trace/otlp/readRequest.ts';
import type { TraceRow } from '../../subgraphs/trace/rows.ts';
import { createTraceService } from '../../subgraphs/trace/service.ts';
import { insertSpans, writeDetail } from '../../subgraphs/trace/store/writeSpans.ts';
import { copyRows } from '../seeds/copyRows.ts';

const batches = Number(process.argv[2] ?? 60);
const spansPerBatch = 1_000;

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
    return () => sql.begin((tx) => insertSpans(tx, rows));
  },
  copy: async (text) => {
    const rows = readRows(text);
    return () => copyRows(sql, 'trace.span', columns, rows.map(copied));
  },
};

function readRows(text: string) {
  const createdAt = new Date();
  return readExportRequest(JSON.parse(text)).spans.map((span) => {
    const id = span.traceId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    return { trace: { tenantId: 'bare', id, createdAt } as TraceRow, span, late: false };
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

function copied({ trace, span, late }: ReturnType<typeof readRows>[number]) {
  return [
    trace.tenantId,
    trace.id,
    span.spanId,
    trace.createdAt,
    span.parentSpanId,
    span.name,
    span.kind,
    span.service,
    span.startNs,
    span.endNs,
    span.status,
    span.statusMessage,
    late,
    JSON.parse(writeDetail(span)),
  ];
}

for (const spansPerTrace of [1_000, 5]) {
  const spent: Record<string, number> = { module: 0, unnest: 0, copy: 0 };
  // Turn by turn, so that growth of the table and noise of the machine fall on all alike.
  for (let batch = -5; batch < batches; batch += 1) {
    for (const [name, prepare] of Object.entries(ways)) {
      const run = await prepare(requestText(spansPerTrace));
      const began = performance.now();
      await run();
      if (batch >= 0) spent[name]! += performance.now() - began;
    }
  }
  const rate = (name: string) => (batches * spansPerBatch * 1_000) / spent[name]!;
  console.log(
    `${spansPerTrace} spans a trace: ${Object.keys(ways)
      .map((name) => `${name} ${rate(name).toFixed(0)}/s`)
      .join(', ')}; ` +
      `module / unnest ${(rate('module') / rate('unnest')).toFixed(2)}, module / copy ${(rate('module') / rate('copy')).toFixed(2)}`,
  );
}
await sql.end();
