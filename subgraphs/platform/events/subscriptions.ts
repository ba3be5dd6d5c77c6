import { createAddressGuard } from '#shared/addressGuard.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, requireVersion } from '#shared/validation.ts';
import type { Keyring } from '../security/keyring.ts';
import { subscriptionPurpose } from '../security/resealing.ts';
import { maxSubscriptions, type SubscriptionInput, subscriptionInput } from './inputs.ts';
import { type SubscriptionRow, subscriptionColumns } from './rows.ts';

const noSuchSubscription = () =>
  new PlatformError('NOT_FOUND', 'no such event subscription', { path: ['subscriptionId'] });

export async function findSubscription(
  db: Sql | SqlTransaction,
  tenantId: string,
  subscriptionId: string,
  lock = '',
): Promise<SubscriptionRow | null> {
  const [row] = (await db.unsafe(
    `SELECT ${subscriptionColumns} FROM platform.event_subscription s WHERE s.tenant_id = $1 AND s.id = $2 ${lock}`,
    [tenantId, subscriptionId],
    { prepare: true },
  )) as unknown as SubscriptionRow[];
  return row ?? null;
}

/** @throws {VALIDATION_FAILED} {NOT_FOUND} */
export async function requireSubscription(
  db: Sql | SqlTransaction,
  tenantId: string,
  subscriptionId: string,
  lock = '',
) {
  parseInput(id, subscriptionId, ['subscriptionId']);
  const row = await findSubscription(db, tenantId, subscriptionId, lock);
  if (!row) throw noSuchSubscription();
  return row;
}

function told(change: 'created' | 'paused' | 'resumed' | 'deleted', row: SubscriptionRow) {
  const { tenantId: _tenant, url: _url, ...subscription } = row;
  return {
    events: [{ streamId: row.id, type: `event.subscription.${change}`, data: { subscription }, tags: [] }],
    audit: [
      {
        action: `event.subscription.${change}`,
        resource: 'EventSubscription',
        resourceId: row.id,
        detail: { name: row.name },
      },
    ],
  };
}

/** Consumer groups: who is told of which events, and how. */
export function createSubscriptions({ sql, config }: ModuleRuntime, once: Once, keyring: Pick<Keyring, 'seal'>) {
  const guard = createAddressGuard(config.WEBHOOK_NETWORKS);
  async function insert(
    tx: SqlTransaction,
    scope: RequestScope,
    { subscriptionId, secret, ...input }: SubscriptionInput & { readonly subscriptionId: string },
  ): Promise<SubscriptionRow> {
    const { tenantId, subject } = scope.principal;
    // Groups of a tenant are made one after the other, so that their number holds.
    await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`platform.event_subscription/${tenantId}`}, 0))`;
    const existing = await tx<{ name: string }[]>`
      SELECT name FROM platform.event_subscription WHERE tenant_id = ${tenantId}`;
    if (existing.some(({ name }) => name === input.name))
      throw new PlatformError('CONFLICT', 'the tenant has a subscription of this name', { path: ['input', 'name'] });
    if (existing.length >= maxSubscriptions)
      throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxSubscriptions} event subscriptions`, {
        path: ['input'],
      });
    const [row] = (await tx.unsafe(
      `INSERT INTO platform.event_subscription AS s (tenant_id, id, name, patterns, target, url, secret, delivery_mode, partitions,
         max_retry, retry_delay_ms, dead_letter, batch_size, ack_timeout_ms, created_by, module, headers, batch_wait_ms)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::text::jsonb, $18) RETURNING ${subscriptionColumns}`,
      [
        tenantId,
        subscriptionId,
        input.name,
        input.patterns,
        input.target.toLowerCase(),
        input.url ?? null,
        secret ?? null,
        input.deliveryMode.toLowerCase(),
        input.partitions,
        // What is forgotten once it was sent is neither tried again nor kept as a letter.
        input.deliveryMode === 'FIRE_AND_FORGET' ? 0 : input.maxRetry,
        input.retryDelayMs,
        input.deliveryMode !== 'FIRE_AND_FORGET' && input.deadLetter,
        input.batchSize,
        input.ackTimeoutMs,
        subject,
        input.module ?? null,
        input.headers == null ? null : JSON.stringify(input.headers),
        input.batchWaitMs,
      ],
    )) as unknown as SubscriptionRow[];
    await tx`
      INSERT INTO platform.event_partition (tenant_id, subscription_id, partition)
      SELECT ${tenantId}, ${row!.id}, n FROM generate_series(0, ${input.partitions - 1}::int) AS n`;
    return row!;
  }

  return {
    find: (scope: RequestScope, subscriptionId: string) =>
      findSubscription(sql, scope.principal.tenantId, parseInput(id, subscriptionId, ['id'])),

    async all(scope: RequestScope): Promise<readonly SubscriptionRow[]> {
      return (await sql.unsafe(
        `SELECT ${subscriptionColumns} FROM platform.event_subscription s WHERE s.tenant_id = $1 ORDER BY s.name`,
        [scope.principal.tenantId],
        { prepare: true },
      )) as unknown as SubscriptionRow[];
    },

    /** @throws {VALIDATION_FAILED} {CONFLICT} {QUOTA_EXCEEDED} */
    async create(
      scope: RequestScope,
      given: unknown,
      callOf: (input: unknown) => IdempotentCall | null,
    ): Promise<SubscriptionRow> {
      const input = parseInput(subscriptionInput, given);
      const problem = input.url == null ? null : await guard.findHostProblem(input.url);
      if (problem !== null)
        throw new PlatformError('VALIDATION_FAILED', `input.url: ${problem}`, { path: ['input', 'url'] });
      const subscriptionId = newId();
      const place = { tenantId: scope.principal.tenantId, purpose: subscriptionPurpose(subscriptionId) };
      const secret = input.secret == null ? null : await keyring.seal(place, input.secret);
      return once<SubscriptionRow>(scope, {
        call: callOf(input),
        repeat: (response) =>
          requireSubscription(sql, scope.principal.tenantId, (response as { subscriptionId: string }).subscriptionId),
        async write(tx) {
          const row = await insert(tx, scope, { ...input, subscriptionId, secret });
          return { row, response: { subscriptionId: row.id }, changes: [told('created', row)] };
        },
      });
    },

    /** Pauses or resumes; again it changes nothing. @throws {NOT_FOUND} {VERSION_CONFLICT} */
    async setStatus(
      scope: RequestScope,
      subscriptionId: string,
      status: SubscriptionRow['status'],
      { expectedVersion, call }: { expectedVersion: number | null; call: IdempotentCall | null },
    ): Promise<SubscriptionRow> {
      const { tenantId } = scope.principal;
      parseInput(id, subscriptionId, ['subscriptionId']);
      return once<SubscriptionRow>(scope, {
        call,
        repeat: () => requireSubscription(sql, tenantId, subscriptionId),
        async write(tx) {
          const before = await requireSubscription(tx, tenantId, subscriptionId, 'FOR UPDATE');
          requireVersion(expectedVersion, before.revision);
          if (before.status === status) return { row: before, response: {}, changes: [] };
          const [row] = (await tx.unsafe(
            `UPDATE platform.event_subscription s SET status = $3, revision = revision + 1, updated_at = now()
             WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${subscriptionColumns}`,
            [tenantId, subscriptionId, status],
          )) as unknown as SubscriptionRow[];
          return { row: row!, response: {}, changes: [told(status === 'paused' ? 'paused' : 'resumed', row!)] };
        },
      });
    },

    /** Forgets the subscription and what it had still to deliver. @throws {NOT_FOUND} {VERSION_CONFLICT} */
    async remove(
      scope: RequestScope,
      subscriptionId: string,
      { expectedVersion, call }: { expectedVersion: number | null; call: IdempotentCall | null },
    ): Promise<string> {
      const { tenantId } = scope.principal;
      parseInput(id, subscriptionId, ['subscriptionId']);
      return once<string>(scope, {
        call,
        repeat: async () => subscriptionId,
        async write(tx) {
          const row = await requireSubscription(tx, tenantId, subscriptionId, 'FOR UPDATE');
          requireVersion(expectedVersion, row.revision);
          // Partitions first: whoever fans out or delivers holds them, and finds none afterwards.
          for (const table of ['event_partition', 'delivery'])
            await tx.unsafe(`DELETE FROM platform.${table} WHERE tenant_id = $1 AND subscription_id = $2`, [
              tenantId,
              subscriptionId,
            ]);
          await tx`DELETE FROM platform.event_inbox WHERE tenant_id = ${tenantId} AND consumer = ${subscriptionId}`;
          await tx`DELETE FROM platform.event_subscription WHERE tenant_id = ${tenantId} AND id = ${subscriptionId}`;
          return { row: subscriptionId, response: {}, changes: [told('deleted', row)] };
        },
      });
    },
  };
}
