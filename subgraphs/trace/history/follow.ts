import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { subgraphNames } from '../../names.ts';
import { isLockedTrace } from '../governance.ts';
import { traceIdHexOf } from '../ids/traceIds.ts';
import { keeper } from '../keeper.ts';
import type { TraceRow } from '../rows.ts';
import { insertHistory, type NewTraceEvent } from '../store/history.ts';
import { begun, tagsOf, traceColumns } from '../store/traces.ts';
import { isTaking, namedTracesOf } from './namedTraces.ts';
import { detailOf } from './placement.ts';
import { writeRunSpans } from './runSpans.ts';
import { placesOf } from './streamContexts.ts';
import { isOfAudit, type Target, targetsOf } from './targets.ts';
import { countUnplaced } from './unplaced.ts';

/** Turns every module's events into events of the traces they name, of their contexts, their runs and their tenant. */
export function createHistory(runtime: ModuleRuntime) {
  async function handle(events: readonly EventRow[]): Promise<void> {
    // The plan's stream repeats what stands in its runs' streams.
    const told = events.filter(({ module, type }) => module !== 'trace' && !type.startsWith('task.step.'));
    if (told.length === 0) return;
    const appended = await runtime.sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const places = await placesOf(tx, told);
      const named = await namedTracesOf(tx, told, places);
      const targets = told.flatMap((event, at) => targetsOf(event, places[at]!, named[at]!));
      const placed = new Set(targets.map(({ event }) => event));
      for (const event of told) if (!placed.has(event)) countUnplaced(event);
      return targets.length === 0 ? [] : record(tx, targets);
    });
    await runtime.publisher.published(appended);
  }

  return {
    handle,
    /** Follows every module but this one: what it says itself it never hears. */
    async follow(): Promise<readonly Consumer[]> {
      return Promise.all(
        subgraphNames
          .filter((module) => module !== 'trace')
          .map((module) =>
            createConsumer({
              name: 'trace.history',
              module,
              sql: (runtime.consumerSqlOf ?? runtime.sqlOf)(module),
              bus: runtime.bus,
              logger: runtime.logger,
              pauseMs: 250,
              // Traces may lie in another database than the events: a page is written in one transaction of its own, and
              // written again it changes nothing.
              handle,
            }),
          ),
      );
    },
  };
}

async function record(tx: SqlTransaction, all: readonly Target[]): Promise<readonly EventRow[]> {
  const traces = await openTraces(tx, all);
  for (const { tenantId, traceId, spanId } of all) {
    const trace = traces.get(`${tenantId}/${traceId}`);
    // Deleted, locked or archived since it was looked for: the page is read again, and the event stands elsewhere.
    if (spanId !== null && !(trace && isTaking(trace)))
      throw new Error(`the trace ${traceId} takes no events any more`);
  }
  // A locked trace hears nothing any more.
  const targets = all.filter(({ tenantId, traceId }) => !isLockedTrace(traces.get(`${tenantId}/${traceId}`)!));
  const written = await insertHistory(tx, targets.map(toHistory));
  const fresh = new Set(written.map(({ tenantId, traceId, eventId }) => `${tenantId}/${traceId}/${eventId}`));
  const changes = targets.filter((target) => fresh.has(`${target.tenantId}/${target.traceId}/${target.event.eventId}`));
  if (changes.length === 0) return [];
  await writeRunSpans(tx, changes, traces);
  const rows = await addUp(tx, changes);
  return appendChange(
    tx,
    'trace',
    rows.map((row): Change => {
      const own = changes.filter(({ tenantId, traceId }) => tenantId === row.tenantId && traceId === row.id);
      return {
        tenantId: row.tenantId,
        actor: keeper,
        events: [
          {
            streamId: row.id,
            type: 'trace.events.added',
            data: { trace: row, events: own.map(({ event }) => ({ id: event.eventId, type: event.type })) },
            tags: tagsOf(row),
          },
        ],
      };
    }),
  );
}

function toHistory({ tenantId, traceId, contextId, event, spanId }: Target): NewTraceEvent {
  // Whom it was about is for who may read the audit.
  const isAudited = isOfAudit(event, contextId);
  const { denials, decisions } = event.data;
  return {
    tenantId,
    traceId,
    eventId: event.eventId,
    type: event.type,
    source: event.module,
    actor: isAudited ? keeper : event.actor,
    occurredAt: event.createdAt,
    recordedAt: event.createdAt,
    detail: isAudited ? { denials, decisions } : { ...detailOf(event), ...(spanId === null ? {} : { spanId }) },
  };
}

/** The traces of the targets, made where they are not there and are kept here, locked in the order of their ids. */
async function openTraces(tx: SqlTransaction, targets: readonly Target[]): Promise<ReadonlyMap<string, TraceRow>> {
  const named = new Map(targets.map((target) => [`${target.tenantId}/${target.traceId}`, target]));
  const made = [...named].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, target]) => target);
  await tx.unsafe(
    `INSERT INTO trace.trace (tenant_id, id, w3c_id, context_id, plan_id, name, type, status, created_by)
     SELECT tenant_id, id, w3c_id, context_id, plan_id, name, type, 'running', $2
     FROM json_to_recordset($1::text::json) AS t(tenant_id text, id uuid, w3c_id text, context_id uuid, plan_id uuid,
       name text, type text)
     ON CONFLICT (tenant_id, id) DO NOTHING`,
    [
      JSON.stringify(
        made
          .filter(({ spanId }) => spanId === null)
          .map(({ tenantId, traceId, contextId, planId, name, type }) => ({
            tenant_id: tenantId,
            id: traceId,
            w3c_id: traceIdHexOf(traceId),
            context_id: contextId,
            plan_id: planId,
            name,
            type,
          })),
      ),
      keeper,
    ],
    { prepare: true },
  );
  const rows = (await tx.unsafe(
    `SELECT ${traceColumns} FROM trace.trace
     WHERE (tenant_id, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) ORDER BY tenant_id, id FOR UPDATE`,
    [made.map(({ tenantId }) => tenantId), made.map(({ traceId }) => traceId)],
    { prepare: true },
  )) as unknown as TraceRow[];
  return new Map(rows.map((row) => [`${row.tenantId}/${row.id}`, row]));
}

/**
 * Brings the traces up to their spans and to the last state that the events tell. An ended run stays ended; of a trace that
 * others keep its own spans tell, and an event that it has begun.
 */
async function addUp(tx: SqlTransaction, changes: readonly Target[]): Promise<readonly TraceRow[]> {
  const states = new Map<string, Readonly<Record<string, unknown>>>();
  for (const { tenantId, traceId, status, run, event, spanId } of changes) {
    const key = `${tenantId}/${traceId}`;
    const ended = status !== null && status !== 'running' && status !== 'pending';
    if (status !== null || !states.has(key))
      states.set(key, {
        of_tenant: tenantId,
        of_trace: traceId,
        outcome: status,
        ended_at: ended ? event.createdAt : null,
        is_run: run !== null,
        is_named: spanId !== null,
      });
  }
  return (await tx.unsafe(
    `UPDATE trace.trace AS t SET revision = revision + 1, updated_at = now(),
       span_count = s.spans, error_count = s.errors, start_ns = s.start_ns, end_ns = s.end_ns,
       status = CASE WHEN is_named THEN s.begun WHEN keeps THEN t.status ELSE outcome END,
       finished_at = CASE WHEN keeps THEN t.finished_at ELSE s.ended_at END
     FROM (
       SELECT c.*, c.outcome IS NULL OR (c.is_run AND known.finished_at IS NOT NULL) AS keeps, ${begun} AS begun, sums.*
       FROM json_to_recordset($1::text::json) AS c(of_tenant text, of_trace uuid, outcome text, ended_at timestamptz,
         is_run boolean, is_named boolean)
       JOIN trace.trace AS known ON known.tenant_id = c.of_tenant AND known.id = c.of_trace
       CROSS JOIN LATERAL (
         SELECT known.span_count AS spans, known.error_count AS errors, known.start_ns, known.end_ns WHERE c.is_named
         UNION ALL
         SELECT count(*)::int, (count(*) FILTER (WHERE s.status = 'error'))::int, min(s.start_ns), max(coalesce(s.end_ns, s.start_ns))
         FROM trace.span s WHERE s.tenant_id = c.of_tenant AND s.trace_id = c.of_trace AND s.traced_at = known.created_at
         HAVING NOT c.is_named
       ) AS sums
     ) AS s
     WHERE t.tenant_id = s.of_tenant AND t.id = s.of_trace
     RETURNING ${traceColumns.replace('start_ns::', 't.start_ns::').replace('end_ns::', 't.end_ns::')}`,
    [JSON.stringify([...states.values()])],
    { prepare: true },
  )) as unknown as TraceRow[];
}
