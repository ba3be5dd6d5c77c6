import type { EventRow } from './events.ts';
import type { Sql } from './sql.ts';

export interface EventLogDeps {
  /** The database of a module; modules may live in different ones. */
  sqlOf(module: EventRow['module']): Sql;
}

interface StreamKey {
  readonly module: EventRow['module'];
  readonly tenantId: string;
  readonly streamId: string;
}

interface StoredEvent {
  sequence: number;
  event_id: string;
  type: string;
  actor: string;
  data: Record<string, unknown>;
  tags: string[] | null;
  traceparent: string | null;
  created_at: Date;
}

interface StoredHead {
  tenant_id: string;
  stream_id: string;
  last_sequence: number;
}

/**
 * Reads `<module>.event` and `<module>.stream_head`. Sequences of a stream are given out under the lock of its
 * `stream_head` row, so what is visible is always a prefix: event n + 1 never shows before event n.
 */
export function createSqlEventLog({ sqlOf }: EventLogDeps) {
  return {
    async read(options: StreamKey & { afterSequence: number; limit: number }): Promise<readonly EventRow[]> {
      const { module, tenantId, streamId, afterSequence, limit } = options;
      const sql = sqlOf(module);
      const rows = await sql<StoredEvent[]>`
        select sequence, event_id, type, actor, data, tags, traceparent, created_at
        from ${sql(`${module}.event`)}
        where tenant_id = ${tenantId} and stream_id = ${streamId}::uuid and sequence > ${afterSequence}
        order by sequence limit ${limit}`;
      return rows.map((row) => ({
        tenantId,
        module,
        streamId,
        sequence: row.sequence,
        eventId: row.event_id,
        type: row.type,
        actor: row.actor,
        data: row.data,
        tags: row.tags ?? [],
        ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
        createdAt: row.created_at.toISOString(),
      }));
    },

    async head({ module, tenantId, streamId }: StreamKey) {
      const sql = sqlOf(module);
      const [row] = await sql<{ last_sequence: number | null; oldest: number | null }[]>`
        select
          (select last_sequence from ${sql(`${module}.stream_head`)}
            where tenant_id = ${tenantId} and stream_id = ${streamId}::uuid) as last_sequence,
          (select sequence from ${sql(`${module}.event`)}
            where tenant_id = ${tenantId} and stream_id = ${streamId}::uuid order by sequence limit 1) as oldest`;
      const lastSequence = row?.last_sequence ?? 0;
      return { lastSequence, oldestKeptSequence: row?.oldest ?? lastSequence + 1 };
    },

    async heads(module: EventRow['module'], streams: readonly { tenantId: string; streamId: string }[]) {
      const sql = sqlOf(module);
      const rows = await sql<StoredHead[]>`
        select head.tenant_id, head.stream_id, head.last_sequence
        from unnest(${streams.map((stream) => stream.tenantId)}::text[], ${streams.map((stream) => stream.streamId)}::uuid[])
          as wanted (tenant_id, stream_id)
        join ${sql(`${module}.stream_head`)} as head using (tenant_id, stream_id)`;
      return rows.map((row) => ({
        tenantId: row.tenant_id,
        streamId: row.stream_id,
        lastSequence: row.last_sequence,
      }));
    },
  };
}
