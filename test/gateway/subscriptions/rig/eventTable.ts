import { randomUUID } from 'node:crypto';
import type { EventRow } from '#shared/events.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { startTemporaryPostgres } from '../../../../prisma/embedded.ts';

export interface EventTableOptions {
  readonly module?: EventRow['module'];
  /** Waits for the disk at each commit, as the platform does. @default false */
  readonly durable?: boolean;
}

/** A PostgreSQL with the event table of one module, written to as the platform does: head locked, row added, committed. */
export async function createEventTable({ durable = false, module = 'dialog' }: EventTableOptions = {}) {
  const server = await startTemporaryPostgres({ settings: durable ? {} : { synchronous_commit: 'off' } });
  const sql = createSql(server.url, { applicationName: 'subscriptions-test', max: 4 });
  await sql.unsafe(`
    create schema ${module};
    create table ${module}.event (
      tenant_id text not null, stream_id uuid not null, sequence bigint not null, event_id uuid not null, type text not null,
      actor text not null, data jsonb not null, tags text[] not null, traceparent text, txid xid8 default pg_current_xact_id(),
      position bigint generated always as identity, created_at timestamptz not null default now(),
      primary key (tenant_id, stream_id, sequence, created_at)
    ) partition by range (created_at);
    create table ${module}.event_old partition of ${module}.event for values from (minvalue) to (date_trunc('day', now()));
    create table ${module}.event_new partition of ${module}.event for values from (date_trunc('day', now())) to (maxvalue);
    create table ${module}.stream_head (tenant_id text, stream_id uuid, last_sequence bigint not null, primary key (tenant_id, stream_id));
  `);
  return {
    sql,
    append: (event: NewEvent) => append(sql, module, event),
    async close() {
      await sql.end({ timeout: 5 });
      await server.stop();
    },
  };
}

export type EventTable = Awaited<ReturnType<typeof createEventTable>>;

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
