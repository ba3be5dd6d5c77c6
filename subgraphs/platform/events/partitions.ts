import type { Sql, SqlTransaction } from '#shared/sql.ts';
import {
  type DeliveryFault,
  type DeliveryRow,
  type DeliveryStatus,
  deliveryColumns,
  type SubscriptionRow,
  subscriptionColumns,
} from './rows.ts';

/** A partition that one worker has until its lease ends. */
export interface Claimed {
  readonly subscription: SubscriptionRow;
  /** Of a webhook; goes nowhere else. */
  readonly secret: string | null;
  readonly partition: number;
  readonly leaseToken: string;
}

/** Takes partitions that have work and nobody has, of those that may be delivered now. */
export async function claimPartitions(
  sql: Sql,
  { limit, leaseMs }: { readonly limit: number; readonly leaseMs: number },
): Promise<readonly Claimed[]> {
  const rows = (await sql.unsafe(
    `WITH free AS (
       SELECT p.tenant_id, p.subscription_id, p.partition
       FROM platform.event_partition p JOIN platform.event_subscription s ON s.tenant_id = p.tenant_id AND s.id = p.subscription_id
       WHERE p.pending > 0 AND p.next_at <= now() AND (p.lease_until IS NULL OR p.lease_until <= now()) AND s.status = 'active'
       ORDER BY p.next_at LIMIT $1 FOR UPDATE OF p SKIP LOCKED
     ), taken AS (
       UPDATE platform.event_partition p SET lease_token = gen_random_uuid(), lease_until = now() + $2::int * interval '1 ms'
       FROM free f WHERE p.tenant_id = f.tenant_id AND p.subscription_id = f.subscription_id AND p.partition = f.partition
       RETURNING p.tenant_id, p.subscription_id, p.partition, p.lease_token
     )
     SELECT ${subscriptionColumns}, s.secret, t.partition, t.lease_token AS "leaseToken"
     FROM taken t JOIN platform.event_subscription s ON s.tenant_id = t.tenant_id AND s.id = t.subscription_id`,
    [limit, leaseMs],
    { prepare: true },
  )) as unknown as (SubscriptionRow & { secret: string | null; partition: number; leaseToken: string })[];
  return rows.map(({ secret, partition, leaseToken, ...subscription }) => ({
    subscription,
    secret,
    partition,
    leaseToken,
  }));
}

/** When work or a lease will be due next among the partitions, ms from now; null where nothing waits. */
export async function findNextDue(sql: Sql): Promise<number | null> {
  const [row] = await sql<{ ms: number | null }[]>`
    SELECT (extract(epoch FROM min(greatest(p.next_at, p.lease_until)) - now()) * 1000)::float8 AS ms
    FROM platform.event_partition p JOIN platform.event_subscription s ON s.tenant_id = p.tenant_id AND s.id = p.subscription_id
    WHERE p.pending > 0 AND s.status = 'active'`;
  return row?.ms ?? null;
}

/** How far ahead a more urgent delivery is looked for. */
const lookAhead = 1_000;

/**
 * The first deliveries of the partition that have not ended: the more urgent of the next thousand first, without passing
 * one of its own key, else in order.
 */
export async function findWaiting(
  db: Sql | SqlTransaction,
  { subscription, partition }: Claimed,
  limit: number,
): Promise<readonly DeliveryRow[]> {
  return (await db.unsafe(
    `WITH ahead AS MATERIALIZED (
       SELECT d.id, d.ordinal, min(d.priority) OVER (PARTITION BY d.ordering_key ORDER BY d.ordinal) AS urgency
       FROM (
         SELECT id, ordinal, priority, ordering_key FROM platform.delivery
         WHERE tenant_id = $1 AND subscription_id = $2 AND partition = $3 AND status IN ('pending', 'sent')
         ORDER BY ordinal LIMIT CASE WHEN EXISTS (
           SELECT 1 FROM platform.delivery
           WHERE tenant_id = $1 AND subscription_id = $2 AND partition = $3 AND status IN ('pending', 'sent') AND priority <> 1
         ) THEN ${lookAhead} ELSE $4::int END
       ) AS d
     ), first AS MATERIALIZED (
       SELECT id, ordinal, urgency FROM ahead ORDER BY urgency DESC, ordinal LIMIT $4::int
     )
     SELECT ${deliveryColumns} FROM first f JOIN platform.delivery d ON d.tenant_id = $1 AND d.id = f.id
     ORDER BY f.urgency DESC, f.ordinal`,
    [subscription.tenantId, subscription.id, partition, limit],
    { prepare: true },
  )) as unknown as DeliveryRow[];
}

/** Notes that an attempt begins, so that one a crash ends has counted. */
export async function noteSent(
  db: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
  status: DeliveryStatus = 'sent',
): Promise<void> {
  await db.unsafe(
    `UPDATE platform.delivery SET status = $3, attempt = attempt + 1, sent_at = now() WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    [tenantId, ids as string[], status],
    { prepare: true },
  );
}

export interface Outcome {
  readonly id: string;
  readonly status: DeliveryStatus;
  readonly error: string | null;
  /** Why, where the attempt did not succeed. */
  readonly fault?: DeliveryFault | undefined;
}

const ends: ReadonlySet<DeliveryStatus> = new Set(['acknowledged', 'failed', 'dead']);

export interface Settlement {
  readonly outcomes: readonly Outcome[];
  /** Deliveries a consumer has now: the partition stays its own until it has answered or its time is over. */
  readonly inFlight: number;
  /** How long the lease goes on, ms; null ends it. */
  readonly leaseMs: number | null;
  /** Rest before the partition is delivered again, ms. */
  readonly pauseMs: number;
}

/** Writes what became of deliveries, where the lease is still the worker's. Answers whether it was. */
export async function settlePartition(
  db: Sql | SqlTransaction,
  { subscription, partition, leaseToken }: Claimed,
  { outcomes, inFlight, leaseMs, pauseMs }: Settlement,
): Promise<boolean> {
  const [row] = (await db.unsafe(
    `WITH own AS (
       UPDATE platform.event_partition SET pending = pending - $5::int, in_flight = $6::int,
         lease_token = CASE WHEN $7::int IS NULL THEN NULL ELSE lease_token END, lease_until = now() + $7::int * interval '1 ms',
         next_at = now() + $8::int * interval '1 ms'
       WHERE tenant_id = $1 AND subscription_id = $2 AND partition = $3 AND lease_token = $4::uuid RETURNING tenant_id
     ), input AS (
       SELECT * FROM json_to_recordset($9::text::json) AS i(id uuid, status text, error text, fault text)
     ), changed AS (
       UPDATE platform.delivery d SET status = i.status, last_error = coalesce(i.error, d.last_error),
         fault = coalesce(i.fault, d.fault), ended_at = CASE WHEN i.status IN ('acknowledged', 'failed', 'dead') THEN now() END
       FROM input i, own WHERE d.tenant_id = $1 AND d.id = i.id
       RETURNING d.event_id, d.status
     ), processed AS (
       INSERT INTO platform.event_inbox (tenant_id, consumer, event_id)
       SELECT $1, $2, event_id FROM changed WHERE status = 'acknowledged' AND $10::boolean ON CONFLICT DO NOTHING
     )
     SELECT count(*)::int AS n FROM own`,
    [
      subscription.tenantId,
      subscription.id,
      partition,
      leaseToken,
      outcomes.filter(({ status }) => ends.has(status)).length,
      inFlight,
      leaseMs,
      pauseMs,
      JSON.stringify(outcomes),
      subscription.deliveryMode === 'exactly_once',
    ],
    { prepare: true },
  )) as unknown as { n: number }[];
  return row!.n > 0;
}

/** What becomes of a delivery whose attempt failed: tried again, or given up after the last. */
export function afterFailure(
  { id, attempt }: Pick<DeliveryRow, 'id' | 'attempt'>,
  { maxRetry, deadLetter }: Pick<SubscriptionRow, 'maxRetry' | 'deadLetter'>,
  { error, fault }: { readonly error: string; readonly fault: DeliveryFault },
): Outcome {
  if (attempt <= maxRetry) return { id, status: 'pending', error, fault };
  return { id, status: deadLetter ? 'dead' : 'failed', error, fault };
}

/** Rest after the nth failed attempt, ms: doubled each time, an hour at most, a tenth of it by chance. */
export function backoffMs(retryDelayMs: number, attempt: number): number {
  const whole = Math.min(retryDelayMs * 2 ** Math.max(0, attempt - 1), 3_600_000);
  return Math.round(whole * (0.9 + Math.random() * 0.1));
}
