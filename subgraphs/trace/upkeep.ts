import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { derivedId } from './ids/traceIds.ts';
import { keeper } from './keeper.ts';
import { graceMs } from './lifecycle.ts';
import type { TraceRow } from './rows.ts';
import { type Decided, decideSampling, forgetSampledOut } from './store/sampling.ts';
import { tagsOf, traceColumns } from './store/traces.ts';

/** A trace still running this long after it was made has failed; one that has not begun by then is cancelled. */
export const timeoutHours = 24;
const batch = 500;

/** Says what was kept of undecided traces and what was let go, a tenant's at a time. */
const samplingStream = (tenantId: string) => derivedId(`sampled traces ${tenantId}`);

/** One event tells a tenant of all that is forgotten at a time: nobody follows a trace that ended days ago. */
const expiryStream = (tenantId: string) => derivedId(`expired traces ${tenantId}`);

/** Once a minute. */
export const traceCrontab = ['* * * * * trace.sweep'];

/** Ends what timed out, and forgets what is older than the retention. */
export function createUpkeep({ sql, publisher, config }: ModuleRuntime) {
  /** The traces kept here end with what they follow, however long that takes. */
  async function failOverdue(): Promise<number> {
    const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const rows = (await tx.unsafe(
        `UPDATE trace.trace SET status = CASE status WHEN 'pending' THEN 'cancelled' ELSE 'failed' END, finished_at = now(), updated_at = now(), revision = revision + 1
         WHERE (tenant_id, id) IN (
           SELECT tenant_id, id FROM trace.trace
           WHERE status IN ('pending', 'running') AND created_at < now() - $1 * interval '1 hour' AND created_by <> $2
             AND governance->'locked' IS DISTINCT FROM 'true'::jsonb
           ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING ${traceColumns}`,
        [timeoutHours, keeper, batch],
      )) as unknown as TraceRow[];
      return appendChange(
        tx,
        'trace',
        rows.map(
          (row): Change => ({
            tenantId: row.tenantId,
            actor: keeper,
            events: [
              {
                streamId: row.id,
                type: 'trace.status.changed',
                data: {
                  trace: row,
                  reason: `no ${row.status === 'cancelled' ? 'beginning' : 'end'} within ${timeoutHours} h`,
                },
                tags: tagsOf(row),
              },
            ],
          }),
        ),
      );
    });
    await publisher.published(events);
    return events.length;
  }

  /** Their spans and events go with their partitions. */
  async function forgetOld(): Promise<number> {
    const rows = await sql.unsafe(
      `WITH gone AS (DELETE FROM trace.trace WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM trace.trace
         WHERE created_at < now() - $1 * interval '1 day' AND updated_at < now() - $1 * interval '1 day'
           AND finished_at IS NOT NULL
         ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING tenant_id, id), kept AS (
         DELETE FROM trace.snapshot s USING gone g WHERE s.tenant_id = g.tenant_id AND s.trace_id = g.id)
       SELECT id FROM gone`,
      [config.TRACE_RETENTION_DAYS + 1, batch],
    );
    return rows.length;
  }

  /** What has ended goes after its hours, spans and events with it; what was imported stays until its partitions go. */
  async function forgetEnded(): Promise<number> {
    let forgotten = 0;
    const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const rows = (await tx.unsafe(
        `WITH gone AS (
           DELETE FROM trace.trace WHERE (tenant_id, id) IN (
             SELECT tenant_id, id FROM trace.trace
             WHERE created_at < now() - least($1::int, $2::int) * interval '1 hour' AND protocol IS NULL
               AND finished_at < now() - CASE WHEN status = 'failed' THEN $2::int ELSE $1::int END * interval '1 hour'
             ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED)
           RETURNING *
         ), spans AS (
           DELETE FROM trace.span s USING gone g
           WHERE s.tenant_id = g.tenant_id AND s.trace_id = g.id AND s.traced_at = g.created_at
         ), told AS (
           DELETE FROM trace.history h USING gone g WHERE h.tenant_id = g.tenant_id AND h.trace_id = g.id
         ), kept AS (
           DELETE FROM trace.snapshot s USING gone g WHERE s.tenant_id = g.tenant_id AND s.trace_id = g.id
         ), figures AS (
           DELETE FROM trace.metric m USING gone g WHERE m.tenant_id = g.tenant_id AND m.trace_id = g.id
         ), sums AS (
           DELETE FROM trace.metric_rollup m USING gone g WHERE m.tenant_id = g.tenant_id AND m.trace_id = g.id
         )
         SELECT ${traceColumns} FROM gone`,
        [config.TRACE_COMPLETED_HOURS, config.TRACE_FAILED_HOURS, batch],
      )) as unknown as TraceRow[];
      forgotten = rows.length;
      const byTenant = Map.groupBy(rows, ({ tenantId }) => tenantId);
      return appendChange(
        tx,
        'trace',
        [...byTenant].map(
          ([tenantId, traces]): Change => ({
            tenantId,
            actor: keeper,
            events: [
              {
                streamId: expiryStream(tenantId),
                type: 'trace.expired',
                data: { ids: traces.map(({ id }) => id) },
                tags: [...new Set(traces.flatMap(tagsOf))],
              },
            ],
          }),
        ),
      );
    });
    await publisher.published(events);
    return forgotten;
  }

  /** Keeps the failed and the slow, and of all others the share that is set. */
  async function sample(): Promise<number> {
    const { TRACE_SAMPLING_RATE: rate, TRACE_SLOW_MS: slowMs } = config;
    const { TRACE_DECISION_SECONDS: waitSeconds, TRACE_MAX_UNDECIDED: maxUndecided } = config;
    let decided = 0;
    const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const rows = await decideSampling(tx, { rate, slowMs, graceMs, waitSeconds, maxUndecided, batch });
      decided = rows.length;
      const idsOf = (traces: readonly Decided[], kept: boolean) =>
        traces.flatMap(({ id, isKept }) => (isKept === kept ? [id] : []));
      const changes = [...Map.groupBy(rows, ({ tenantId }) => tenantId)].map(
        ([tenantId, traces]): Change => ({
          tenantId,
          actor: keeper,
          events: [
            {
              streamId: samplingStream(tenantId),
              type: 'trace.sampled',
              data: { kept: idsOf(traces, true), out: idsOf(traces, false) },
              tags: [...new Set(traces.flatMap(tagsOf))],
            },
          ],
        }),
      );
      return appendChange(tx, 'trace', changes);
    });
    await publisher.published(events);
    return decided;
  }

  return {
    async sweep(): Promise<void> {
      while ((await failOverdue()) === batch);
      while ((await sample()) === batch);
      await forgetSampledOut(sql, { hours: timeoutHours, days: config.TRACE_RETENTION_DAYS });
      while ((await forgetEnded()) === batch);
      while ((await forgetOld()) === batch);
    },
  };
}
