import { randomUUID } from 'node:crypto';
import type { EventRow } from '#shared/events.ts';
import { createSql, type Sql } from '#shared/sql.ts';

/** A migrated database and what closes it. */
export interface EventDatabase {
  readonly url: string;
  close(): Promise<void>;
}

/** The event table of the dialog module, written to as the platform does: head locked, row added, committed. */
export function createEventTable(database: EventDatabase) {
  const sql = createSql(database.url, { applicationName: 'subscriptions-test', max: 4 });
  return {
    sql,
    append: (event: NewEvent) => append(sql, 'dialog', event),
    async close() {
      await sql.end({ timeout: 5 });
      await database.close();
    },
  };
}

export type EventTable = ReturnType<typeof createEventTable>;

export interface NewEvent {
  readonly tenantId: string;
  readonly streamId: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly createdAt?: Date;
}

/** Commits one event and answers it as it would be published. */
async function append(
  sql: Sql,
  module: EventRow['module'],
  { tenantId, streamId, type, data, createdAt }: NewEvent,
): Promise<EventRow> {
  const eventId = randomUUID();
  return sql.begin(async (tx) => {
    const [head] = await tx<{ last_sequence: number }[]>`
      insert into ${tx(`${module}.stream_head`)} as head values (${tenantId}, ${streamId}, 1)
      on conflict (tenant_id, stream_id) do update set last_sequence = head.last_sequence + 1
      returning last_sequence`;
    const sequence = head?.last_sequence ?? 0;
    const [row] = await tx<{ created_at: Date }[]>`
      insert into ${tx(`${module}.event`)} (tenant_id, stream_id, sequence, event_id, type, actor, data, tags, created_at)
      values (${tenantId}, ${streamId}, ${sequence}, ${eventId}, ${type}, 'tester', ${tx.json(JSON.parse(JSON.stringify(data)))},
        ${[] as string[]}, ${createdAt ?? new Date()})
      returning created_at`;
    return {
      tenantId,
      module,
      streamId,
      sequence,
      eventId,
      type,
      actor: 'tester',
      data,
      tags: [],
      createdAt: (row?.created_at ?? new Date()).toISOString(),
    };
  });
}
