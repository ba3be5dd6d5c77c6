import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { keeper } from './history/targets.ts';
import type { TraceRow } from './rows.ts';
import { tagsOf, traceColumns } from './store/traces.ts';

/** A trace still running this long after it was made has failed. */
const timeoutHours = 24;
const batch = 500;

/** Once a minute. */
export const traceCrontab = ['* * * * * trace.sweep'];

/** Ends what timed out, and forgets what is older than the retention. */
export function createUpkeep({ sql, publisher, config }: ModuleRuntime) {
  /** The traces kept here end with what they follow, however long that takes. */
  async function failOverdue(): Promise<number> {
    const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
      const rows = (await tx.unsafe(
        `UPDATE trace.trace SET status = 'failed', finished_at = now(), updated_at = now(), revision = revision + 1
         WHERE (tenant_id, id) IN (
           SELECT tenant_id, id FROM trace.trace
           WHERE status IN ('pending', 'running') AND created_at < now() - $1 * interval '1 hour' AND created_by <> $2
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
                data: { trace: row, reason: `no end within ${timeoutHours} h` },
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
      `DELETE FROM trace.trace WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM trace.trace
         WHERE created_at < now() - $1 * interval '1 day' AND updated_at < now() - $1 * interval '1 day'
           AND finished_at IS NOT NULL
         ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING id`,
      [config.TRACE_RETENTION_DAYS + 1, batch],
    );
    return rows.length;
  }

  return {
    async sweep(): Promise<void> {
      while ((await failOverdue()) === batch);
      while ((await forgetOld()) === batch);
    },
  };
}
