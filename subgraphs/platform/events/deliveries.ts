import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { afterFailure, backoffMs, type Outcome } from './partitions.ts';
import { type DeliveryRow, type DeliveryStatus, deliveryColumns, type SubscriptionRow } from './rows.ts';
import { requireSubscription } from './subscriptions.ts';

/** What a consumer says of a delivery: done, to be tried again, or never to be tried again. */
export type Answer = 'ACKNOWLEDGED' | 'FAILED' | 'REJECTED';

export interface DeliverySearch {
  readonly subscriptionId: string | null;
  readonly eventId: string | null;
  readonly status: readonly DeliveryStatus[] | null;
}

const list = 'deliveries';
const reasonText = text({ max: 500 });
const noSuchDelivery = () => new PlatformError('NOT_FOUND', 'no such delivery', { path: ['deliveryId'] });

async function findDelivery(db: Sql | SqlTransaction, tenantId: string, deliveryId: string): Promise<DeliveryRow> {
  const [row] = (await db.unsafe(
    `SELECT ${deliveryColumns} FROM platform.delivery d WHERE d.tenant_id = $1 AND d.id = $2`,
    [tenantId, deliveryId],
    { prepare: true },
  )) as unknown as DeliveryRow[];
  if (!row) throw noSuchDelivery();
  return row;
}

/** Partitions are locked before their deliveries, by everyone. */
async function lockPartition(tx: SqlTransaction, { tenantId, subscriptionId, partition }: DeliveryRow): Promise<void> {
  await tx`
    SELECT 1 FROM platform.event_partition
    WHERE tenant_id = ${tenantId} AND subscription_id = ${subscriptionId} AND partition = ${partition} FOR UPDATE`;
}

/** What has been delivered, and what consumers and operators say to it. */
export function createDeliveries({ sql }: Pick<ModuleRuntime, 'sql'>, once: Once, wake: () => void) {
  async function settle(
    tx: SqlTransaction,
    before: DeliveryRow,
    subscription: SubscriptionRow,
    outcome: Outcome,
  ): Promise<DeliveryRow> {
    const [row] = (await tx.unsafe(
      `UPDATE platform.delivery d SET status = $3, last_error = coalesce($4, d.last_error), fault = coalesce($5, d.fault),
         ended_at = CASE WHEN $3 <> 'pending' THEN now() END
       WHERE d.tenant_id = $1 AND d.id = $2 RETURNING ${deliveryColumns}`,
      [before.tenantId, before.id, outcome.status, outcome.error, outcome.fault ?? null],
      { prepare: true },
    )) as unknown as DeliveryRow[];
    // With the last one answered the partition goes on; after a failure, when its rest is over.
    await tx.unsafe(
      `UPDATE platform.event_partition SET pending = pending - $4::int, in_flight = greatest(0, in_flight - $5::int),
         lease_until = CASE WHEN in_flight - $5::int <= 0 THEN NULL ELSE lease_until END,
         next_at = greatest(next_at, now() + $6::int * interval '1 ms')
       WHERE tenant_id = $1 AND subscription_id = $2 AND partition = $3`,
      [
        before.tenantId,
        before.subscriptionId,
        before.partition,
        outcome.status === 'pending' ? 0 : 1,
        before.status === 'sent' ? 1 : 0,
        outcome.status === 'pending' ? backoffMs(subscription.retryDelayMs, before.attempt) : 0,
      ],
      { prepare: true },
    );
    if (outcome.status === 'acknowledged' && subscription.deliveryMode === 'exactly_once')
      await tx`
        INSERT INTO platform.event_inbox (tenant_id, consumer, event_id)
        VALUES (${before.tenantId}, ${before.subscriptionId}, ${before.eventId}) ON CONFLICT DO NOTHING`;
    return row!;
  }

  return {
    async page(scope: RequestScope, search: DeliverySearch, input: PageInput) {
      for (const key of ['subscriptionId', 'eventId'] as const)
        if (search[key] !== null) parseInput(id, search[key], [key]);
      const page = readPage(list, 1, input);
      const [behind = null] = (page.from ?? []) as readonly (number | null)[];
      const values: unknown[] = [];
      const bind = (value: unknown, type: string) => `$${values.push(value)}::${type}`;
      const conditions = [`d.tenant_id = ${bind(scope.principal.tenantId, 'text')}`];
      if (search.subscriptionId !== null) conditions.push(`d.subscription_id = ${bind(search.subscriptionId, 'uuid')}`);
      if (search.eventId !== null) conditions.push(`d.event_id = ${bind(search.eventId, 'uuid')}`);
      if (search.status !== null) conditions.push(`d.status = ANY(${bind(search.status, 'text[]')})`);
      if (behind !== null) conditions.push(`d.ordinal < ${bind(behind, 'bigint')}`);
      const rows = (await sql.unsafe(
        `SELECT ${deliveryColumns} FROM platform.delivery d WHERE ${conditions.join(' AND ')}
         ORDER BY d.ordinal DESC LIMIT ${bind(page.limit + 1, 'int')}`,
        values as never[],
        { prepare: true },
      )) as unknown as DeliveryRow[];
      return createConnection(list, page, rows, ({ ordinal }) => [ordinal]);
    },

    /**
     * A consumer's answer. Once acknowledged a delivery stays so: again it changes nothing and `first` is false.
     * @throws {NOT_FOUND} {INVALID_STATE} where it was given up, or belongs to a webhook.
     */
    async answer(
      scope: RequestScope,
      deliveryId: string,
      { answer, reason }: { readonly answer: Answer; readonly reason: string | null },
    ): Promise<{ readonly delivery: DeliveryRow; readonly first: boolean }> {
      parseInput(id, deliveryId, ['deliveryId']);
      if (reason !== null) parseInput(reasonText, reason, ['reason']);
      const { tenantId } = scope.principal;
      const told = (await transactionRetry.execute(() =>
        sql.begin(async (tx) => {
          await lockPartition(tx, await findDelivery(tx, tenantId, deliveryId));
          const before = await findDelivery(tx, tenantId, deliveryId);
          const subscription = await requireSubscription(tx, tenantId, before.subscriptionId);
          if (subscription.target !== 'pull')
            throw new PlatformError('INVALID_STATE', 'a webhook answers for itself', { path: ['deliveryId'] });
          if (before.status === 'acknowledged') return { delivery: before, first: false };
          // Whoever says that a delivery is done is believed, also where its time was over meanwhile.
          if (before.status === 'failed' || before.status === 'dead' || before.attempt === 0)
            throw new PlatformError('INVALID_STATE', `the delivery is ${before.status.toUpperCase()}`, {
              path: ['deliveryId'],
            });
          if (before.status === 'pending' && answer === 'FAILED') return { delivery: before, first: false };
          const error = reason ?? (answer === 'ACKNOWLEDGED' ? null : `the consumer has ${answer.toLowerCase()} it`);
          const outcome: Outcome =
            answer === 'ACKNOWLEDGED'
              ? { id: deliveryId, status: 'acknowledged', error }
              : answer === 'FAILED'
                ? afterFailure(before, subscription, { error: error!, fault: 'failed' })
                : { id: deliveryId, status: subscription.deadLetter ? 'dead' : 'failed', error, fault: 'rejected' };
          return { delivery: await settle(tx, before, subscription, outcome), first: true };
        }),
      )) as { delivery: DeliveryRow; first: boolean };
      wake();
      return told;
    },

    /** Delivers a dead letter anew, as often as at first. @throws {NOT_FOUND} {INVALID_STATE} unless it is dead. */
    async redrive(scope: RequestScope, deliveryId: string, call: IdempotentCall | null): Promise<DeliveryRow> {
      parseInput(id, deliveryId, ['deliveryId']);
      const { tenantId } = scope.principal;
      const row = await once<DeliveryRow>(scope, {
        call,
        repeat: () => findDelivery(sql, tenantId, deliveryId),
        async write(tx) {
          await lockPartition(tx, await findDelivery(tx, tenantId, deliveryId));
          const [again] = (await tx.unsafe(
            `WITH again AS (
               UPDATE platform.delivery d SET status = 'pending', attempt = 0, ended_at = NULL, expires_at = NULL
               WHERE d.tenant_id = $1 AND d.id = $2 AND d.status = 'dead' RETURNING d.*
             ), told AS (
               UPDATE platform.event_partition p SET pending = p.pending + 1, next_at = now() FROM again a
               WHERE p.tenant_id = a.tenant_id AND p.subscription_id = a.subscription_id AND p.partition = a.partition
             )
             SELECT ${deliveryColumns} FROM again d`,
            [tenantId, deliveryId],
          )) as unknown as DeliveryRow[];
          if (!again) throw new PlatformError('INVALID_STATE', 'expected a dead letter', { path: ['deliveryId'] });
          const audit = [{ action: 'event.delivery.redriven', resource: 'EventDelivery', resourceId: deliveryId }];
          return { row: again, response: {}, changes: [{ events: [], audit }] };
        },
      });
      wake();
      return row;
    },
  };
}
