import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { isFor, rankOf } from './envelope.ts';
import { isInternal, matches } from './inputs.ts';
import { partitionOf } from './partitioning.ts';
import { deliveredEvent, noReplay, publishedData, type SubscriptionRow, subscriptionColumns } from './rows.ts';

const consumerName = 'platform.deliveries';

/** What a subscription is to be delivered. */
export interface Planned {
  readonly subscription: Pick<SubscriptionRow, 'tenantId' | 'id' | 'partitions'>;
  readonly event: EventRow;
}

/**
 * Writes deliveries, each event once per subscription and replay, and counts them at their partitions. Partitions are
 * locked in order before any ordinal is drawn: what is read of one never gets a predecessor.
 */
export async function writeDeliveries(
  db: Sql | SqlTransaction,
  planned: readonly Planned[],
  replayId = noReplay,
): Promise<number> {
  if (planned.length === 0) return 0;
  const input = planned.map(({ subscription, event }, ord) => ({
    ord,
    tenant_id: subscription.tenantId,
    subscription_id: subscription.id,
    id: newId(),
    partition: partitionOf(event.streamId, subscription.partitions),
    ordering_key: publishedData(event)?.orderingKey ?? event.streamId,
    event_id: event.eventId,
    event: deliveredEvent(event),
    expires_at: publishedData(event)?.expiresAt ?? null,
    priority: rankOf(publishedData(event)?.priority ?? 'NORMAL'),
  }));
  const [written] = (await db.unsafe(
    `WITH input AS MATERIALIZED (
       SELECT * FROM json_to_recordset($1::text::json) AS i(ord int, tenant_id text, subscription_id uuid, id uuid, partition int,
         ordering_key text, event_id uuid, event jsonb, expires_at timestamptz, priority int)
     ), locked AS MATERIALIZED (
       SELECT p.tenant_id, p.subscription_id, p.partition FROM platform.event_partition p
       WHERE (p.tenant_id, p.subscription_id, p.partition) IN (SELECT tenant_id, subscription_id, partition FROM input)
       ORDER BY p.tenant_id, p.subscription_id, p.partition FOR UPDATE
     ), added AS (
       INSERT INTO platform.delivery (tenant_id, id, subscription_id, partition, ordering_key, event_id, replay_id, event, expires_at, priority)
       SELECT o.tenant_id, o.id, o.subscription_id, o.partition, o.ordering_key, o.event_id, $2::uuid, o.event, o.expires_at, o.priority
       FROM (SELECT i.* FROM input i JOIN locked USING (tenant_id, subscription_id, partition) ORDER BY i.ord) AS o
       ON CONFLICT (tenant_id, subscription_id, event_id, replay_id) DO NOTHING
       RETURNING tenant_id, subscription_id, partition
     ), counted AS (
       SELECT tenant_id, subscription_id, partition, count(*)::int AS n FROM added GROUP BY 1, 2, 3
     ), told AS (
       UPDATE platform.event_partition p SET pending = p.pending + c.n FROM counted c
       WHERE p.tenant_id = c.tenant_id AND p.subscription_id = c.subscription_id AND p.partition = c.partition
     )
     SELECT coalesce(sum(n), 0)::int AS n FROM counted`,
    [JSON.stringify(input), replayId],
    { prepare: true },
  )) as unknown as { n: number }[];
  return written!.n;
}

/** Which subscriptions are told of which events; those from before a subscription are none of its. */
export function plan(subscriptions: readonly SubscriptionRow[], events: readonly EventRow[]): readonly Planned[] {
  const byTenant = Map.groupBy(subscriptions, ({ tenantId }) => tenantId);
  return events.flatMap((event) =>
    isInternal(event.type)
      ? []
      : (byTenant.get(event.tenantId) ?? [])
          .filter((subscription) => event.createdAt >= subscription.createdAt && isWanted(subscription, event))
          .map((subscription) => ({ subscription, event })),
  );
}

/** By patterns, targets and headers. */
export function isWanted(
  subscription: Pick<SubscriptionRow, 'patterns' | 'module' | 'headers'>,
  event: EventRow,
): boolean {
  if (!matches(subscription.patterns, event.type)) return false;
  const published = publishedData(event);
  return isFor(subscription, {
    headers: published?.headers ?? null,
    targetModules: published?.targetModules ?? [],
  });
}

export interface FanOut {
  /** Starts reading the modules' events, once; called again it does nothing. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads every module's events into deliveries, each once over all instances. It begins with the first subscription there
 * is: where nobody has one, no event is read.
 */
export function createFanOut(
  { sql, sqlOf, consumerSqlOf, bus, logger }: ModuleRuntime,
  onDeliveries: () => void,
): FanOut {
  const reading = consumerSqlOf ?? sqlOf;
  const consumers: Consumer[] = [];
  let begun: Promise<void> | null = null;
  let closed = false;

  async function handle(module: SubgraphName, events: readonly EventRow[], tx: SqlTransaction): Promise<void> {
    const tenants = [...new Set(events.map(({ tenantId }) => tenantId))];
    // The platform's tables may be in another database than the module's events: then a repeat after a crash changes nothing.
    const db = sqlOf(module) === sql ? tx : sql;
    const subscriptions = (await db.unsafe(
      `SELECT ${subscriptionColumns} FROM platform.event_subscription s WHERE s.tenant_id = ANY($1::text[])`,
      [tenants],
      { prepare: true },
    )) as unknown as SubscriptionRow[];
    await writeDeliveries(db, plan(subscriptions, events));
  }

  async function start(module: SubgraphName): Promise<void> {
    const db = reading(module);
    // What is older than every subscription is none of theirs: it is passed over.
    await db.unsafe(
      `INSERT INTO ${module}.consumer_offset AS consumer_offset (consumer, position)
       SELECT $1, coalesce((SELECT min(position) - 1 FROM ${module}.event WHERE created_at >= $2::timestamptz),
         (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${module}.event_position_seq))
       ON CONFLICT (consumer) DO UPDATE SET position = greatest(consumer_offset.position, EXCLUDED.position)`,
      [consumerName, await oldestSubscription()],
    );
    if (closed) return;
    consumers.push(
      await createConsumer({
        name: consumerName,
        module,
        sql: db,
        bus,
        logger,
        pauseMs: 10,
        pageSize: 200,
        handle: (events, tx) => handle(module, events, tx),
        afterCommit: onDeliveries,
      }),
    );
  }

  async function oldestSubscription(): Promise<string> {
    const [row] = await sql<{ at: Date | null }[]>`SELECT min(created_at) AS at FROM platform.event_subscription`;
    return (row?.at ?? new Date()).toISOString();
  }

  return {
    begin() {
      begun ??= (async () => {
        for (const module of subgraphNames) await start(module);
      })().catch((error: unknown) => {
        begun = null;
        if (!closed) logger.error({ error: String(error) }, 'events cannot be read for their subscribers');
      });
      return begun;
    },
    async close() {
      closed = true;
      await begun;
      await Promise.all(consumers.map((consumer) => consumer.close()));
    },
  };
}
