import type { Sql } from '#shared/sql.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import { contextId, perfTenant, seedContexts } from './context.ts';
import { copyRows } from './copyRows.ts';
import { seedId } from './seedId.ts';

export interface ReportSeed {
  /** Contexts that have a history. */
  readonly contexts: number;
  readonly eventsPerContext: number;
}

const types = ['context.updated', 'plan.created', 'confirm.decided', 'dialog.message.sent', 'role.assigned'] as const;
const gapMs = 60_000;

function* historyRows({ contexts, eventsPerContext }: ReportSeed, nowMs: number) {
  for (let context = 0; context < contexts; context += 1) {
    const traceId = contextTraceId(perfTenant, contextId(context));
    for (let event = 0; event < eventsPerContext; event += 1) {
      const type = types[event % types.length]!;
      yield [
        perfTenant,
        traceId,
        seedId('historyEvent', context, event),
        new Date(nowMs),
        type,
        type.slice(0, type.indexOf('.')),
        `agent-${event % 20}`,
        new Date(nowMs - (eventsPerContext - event) * gapMs),
        {
          module: type.slice(0, type.indexOf('.')),
          streamId: contextId(context),
          sequence: event + 1,
          status: 'active',
        },
      ];
    }
  }
}

/** Contexts whose histories the trace module has: an event a minute. */
export async function seedReports(sql: Sql, seed: ReportSeed, log: (text: string) => void): Promise<void> {
  const nowMs = Date.now();
  await seedContexts(sql, seed.contexts, log);
  const at = new Date(nowMs);
  const traceIds = Array.from({ length: seed.contexts }, (_, context) =>
    contextTraceId(perfTenant, contextId(context)),
  );
  await copyRows(
    sql,
    'trace.trace',
    ['tenant_id', 'id', 'w3c_id', 'context_id', 'name', 'type', 'status', 'created_at', 'created_by', 'updated_at'],
    traceIds.map((id, context) => [
      perfTenant,
      id,
      id.replaceAll('-', ''),
      contextId(context),
      'context history',
      'execution',
      'running',
      at,
      'system',
      at,
    ]),
  );
  await copyRows(
    sql,
    'trace.history',
    ['tenant_id', 'trace_id', 'event_id', 'recorded_at', 'type', 'source', 'actor', 'occurred_at', 'detail'],
    historyRows(seed, nowMs),
  );
  await sql.unsafe(
    'INSERT INTO trace.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 1 FROM trace.trace',
  );
  await sql.unsafe(
    `INSERT INTO trace.replica (tenant_id, type, id, status, detail, sequence)
     SELECT tenant_id, 'Context', id, 'known', '{}', 1 FROM context.context ON CONFLICT DO NOTHING`,
  );
  log(`${seed.contexts} histories of ${seed.eventsPerContext} events`);
}

const auditColumns = [
  'tenant_id',
  'id',
  'action',
  'resource',
  'resource_id',
  'actor',
  'detail',
  'traceparent',
  'created_at',
] as const;

/** Rows of the context module's audit, the last an hour ago. */
export async function seedAudit(sql: Sql, rows: number, log: (text: string) => void): Promise<void> {
  const endMs = Date.now();
  const auditRows = function* () {
    for (let n = 0; n < rows; n += 1)
      yield [
        perfTenant,
        seedId('auditRow', n),
        'context.updated',
        'Context',
        contextId(n % 1_000),
        `agent-${n % 50}`,
        {
          version: 2 + (n % 9),
          fields: ['summary', 'tags'],
          previous: `summary of the context as it was before change ${n}`,
        },
        `00-${n.toString(16).padStart(32, '0')}-${'2'.repeat(16)}-01`,
        new Date(endMs - (rows - n)),
      ];
  };
  await copyRows(sql, 'context.audit', auditColumns, auditRows());
  log(`${rows} rows of the audit`);
}
