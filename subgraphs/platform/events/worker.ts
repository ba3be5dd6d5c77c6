import { createAddressGuard } from '#shared/addressGuard.ts';
import { backedOff } from '#shared/backoff.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange } from '#shared/outbox.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import type { Keyring } from '../security/keyring.ts';
import { openSecret, subscriptionPurpose } from '../security/resealing.ts';
import { postWebhook, WebhookTimeout } from '../webhooks/post.ts';
import {
  afterFailure,
  backoffMs,
  type Claimed,
  claimPartitions,
  findNextDue,
  findWaiting,
  noteSent,
  type Outcome,
  settlePartition,
} from './partitions.ts';
import { type DeliveryRow, inboxKey, type SubscriptionRow, shownDelivery } from './rows.ts';

const idleMs = 500;
const companyLookMs = 200;
/** Partitions a process delivers at the same time. */
const slots = 16;
const keeper = 'platform';

/** Nobody answers what is forgotten once it was sent: that it was is its end. */
const sent = ({ id }: DeliveryRow): Outcome => ({ id, status: 'acknowledged', error: null });

/** How long a batch that is not full waits for company yet, ms; looked at again a few times a second. */
function companyMs({ batchSize, batchWaitMs }: SubscriptionRow, fresh: readonly DeliveryRow[]): number {
  if (batchWaitMs === 0 || fresh.length === 0 || fresh.length >= batchSize) return 0;
  const oldest = Math.min(...fresh.map(({ createdAt }) => new Date(createdAt).getTime()));
  return Math.max(0, Math.min(oldest + batchWaitMs - Date.now(), companyLookMs));
}

export interface DeliveryWorker extends StartedModule {
  /** Looks now instead of at the next poll. */
  wake(): void;
}

/** Deliveries whose time is over end here, whatever the target. */
function expired(deliveries: readonly DeliveryRow[]): readonly Outcome[] {
  return deliveries.flatMap(({ id, expired: isOver }) =>
    isOver ? [{ id, status: 'failed' as const, error: 'its time to live is over', fault: 'expired' as const }] : [],
  );
}

/**
 * Delivers what waits, a partition at a time in the order of its events. A partition has one worker, by a lease with a
 * fencing token: what a crash leaves is taken up when the lease ends, and a worker that was too slow writes nothing.
 */
export function createDeliveryWorker(
  { sql, publisher, config, logger }: ModuleRuntime,
  keyring: Pick<Keyring, 'open'>,
): DeliveryWorker {
  const leaseMs = config.EVENT_LEASE_MS;
  const guard = createAddressGuard(config.WEBHOOK_NETWORKS);

  /** A secret that does not open is a failed attempt, as an address that does not answer is. */
  async function post(
    { subscription, secret }: Claimed,
    call: Pick<Parameters<typeof postWebhook>[0], 'body' | 'headers'>,
  ): Promise<void> {
    const place = { tenantId: subscription.tenantId, purpose: subscriptionPurpose(subscription.id) };
    const opened = secret === null ? null : await openSecret(keyring, place, secret);
    await postWebhook({ ...call, url: subscription.url!, secret: opened, guard });
  }

  /** Posts batches until the partition is empty, one fails, or half of the lease is over. */
  async function runWebhook(claimed: Claimed): Promise<void> {
    const { subscription } = claimed;
    const until = performance.now() + leaseMs / 2;
    for (;;) {
      const waiting = await findWaiting(sql, claimed, subscription.batchSize);
      const over = expired(waiting);
      const fresh = waiting.filter(({ expired: isOver }) => !isOver);
      // After a failure one by one: what is at fault shall not take others with it.
      const tried = fresh.findIndex(({ attempt: nth }) => nth > 0);
      const batch = fresh.slice(0, tried === -1 ? fresh.length : Math.max(1, tried));
      const waitMs = tried === -1 ? companyMs(subscription, fresh) : 0;
      if (batch.length === 0 || waitMs > 0) {
        await settlePartition(sql, claimed, {
          outcomes: over,
          inFlight: 0,
          leaseMs: null,
          pauseMs: waiting.length === 0 ? idleMs : waitMs,
        });
        return;
      }
      const attempt = batch[0]!.attempt + 1;
      await noteSent(
        sql,
        subscription.tenantId,
        batch.map(({ id }) => id),
      );
      const deliveries = batch.map((row) => shownDelivery({ ...row, attempt, status: 'sent' }));
      const failed = await post(claimed, {
        body: JSON.stringify({
          subscription: { id: subscription.id, name: subscription.name },
          deliveries: deliveries.map(({ id, attempt: nth, inboxKey: key, orderingKey, partition, event }) => ({
            id,
            attempt: nth,
            inboxKey: key,
            orderingKey,
            partition,
            event,
          })),
        }),
        headers: {
          'mplp-attempt': String(attempt),
          ...(batch.length === 1 ? { 'idempotency-key': inboxKey(subscription.id, batch[0]!.eventId) } : {}),
        },
      }).then(
        () => null,
        (failure: Error) => ({
          error: failure.message.slice(0, 500),
          fault: failure instanceof WebhookTimeout ? ('timeout' as const) : ('failed' as const),
        }),
      );
      const outcomes = [
        ...over,
        ...batch.map((row) =>
          failed === null
            ? { id: row.id, status: 'acknowledged' as const, error: null }
            : afterFailure({ id: row.id, attempt }, subscription, failed),
        ),
      ];
      const again = failed === null && performance.now() < until;
      const isOurs = await settlePartition(sql, claimed, {
        outcomes,
        inFlight: 0,
        leaseMs: again ? leaseMs : null,
        pauseMs: failed === null ? 0 : backoffMs(subscription.retryDelayMs, attempt),
      });
      if (!again || !isOurs) return;
    }
  }

  /** Puts the next batch into the subscription's stream; what the last one left unanswered was an attempt that failed. */
  async function runPull(claimed: Claimed): Promise<void> {
    const { subscription } = claimed;
    const { tenantId } = subscription;
    const events = (await sql.begin(async (tx) => {
      // Acknowledgements take the partition first as well.
      await tx.unsafe(
        `SELECT 1 FROM platform.event_partition WHERE tenant_id = $1 AND subscription_id = $2 AND partition = $3 FOR UPDATE`,
        [tenantId, subscription.id, claimed.partition],
      );
      const waiting = await findWaiting(tx, claimed, 2 * subscription.batchSize);
      const over = expired(waiting);
      const unanswered = waiting
        .filter(({ status, expired: isOver }) => status === 'sent' && !isOver)
        .map((row) =>
          afterFailure(row, subscription, {
            error: `no acknowledgement within ${subscription.ackTimeoutMs} ms`,
            fault: 'timeout',
          }),
        );
      const given = new Set([...over, ...unanswered.filter(({ status }) => status !== 'pending')].map(({ id }) => id));
      const open = waiting.filter(({ id }) => !given.has(id));
      const waitMs = unanswered.length > 0 ? 0 : companyMs(subscription, open);
      const batch = waitMs > 0 ? [] : open.slice(0, subscription.batchSize);
      const isForgotten = subscription.deliveryMode === 'fire_and_forget';
      const isOurs = await settlePartition(tx, claimed, {
        outcomes: [...over, ...unanswered, ...(isForgotten ? batch.map(sent) : [])],
        inFlight: isForgotten ? 0 : batch.length,
        leaseMs: batch.length === 0 || isForgotten ? null : subscription.ackTimeoutMs,
        pauseMs: waiting.length === 0 ? idleMs : waitMs,
      });
      if (!isOurs || batch.length === 0) return [];
      await noteSent(
        tx,
        tenantId,
        batch.map(({ id }) => id),
        isForgotten ? 'acknowledged' : 'sent',
      );
      return appendChange(tx, 'platform', [
        {
          tenantId,
          actor: keeper,
          events: batch.map((row) => ({
            streamId: subscription.id,
            type: 'delivery.ready',
            data: { delivery: { ...row, attempt: row.attempt + 1, status: 'sent' } },
            tags: [],
          })),
        },
      ]);
    })) as readonly EventRow[];
    await publisher.published(events);
  }

  let closed = false;
  let failures = 0;
  let running = 0;
  let looking: Promise<void> | null = null;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  const active = new Set<Promise<void>>();

  function take(claimed: Claimed): void {
    running += 1;
    const run = (claimed.subscription.target === 'webhook' ? runWebhook(claimed) : runPull(claimed))
      .catch((error: unknown) => {
        // The lease ends by itself, and with it the partition is anybody's again.
        if (!closed) logger.error({ error: String(error) }, 'events could not be delivered; tried again');
      })
      .finally(() => {
        running -= 1;
        active.delete(run);
        wake();
      });
    active.add(run);
  }

  async function look(): Promise<void> {
    while (!closed && running < slots) {
      const claimed = await claimPartitions(sql, { limit: slots - running, leaseMs });
      for (const one of claimed) take(one);
      if (claimed.length === 0) break;
    }
  }

  function wake(): void {
    if (closed) return;
    if (looking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    looking = look()
      .then(() => {
        failures = 0;
      })
      .catch((error: unknown) => {
        if (failures === 0) logger.error({ error: String(error) }, 'no deliveries can be read; tried again');
        failures += 1;
      })
      .finally(() => {
        looking = null;
        if (closed) return;
        if (again && failures === 0) {
          again = false;
          wake();
        } else void rest();
      });
  }

  /** Sleeps until something is due, half a second at most. */
  async function rest(): Promise<void> {
    again = false;
    const due = failures > 0 || running >= slots ? null : await findNextDue(sql).catch(() => null);
    if (closed || looking) return;
    clearTimeout(timer);
    timer = setTimeout(wake, Math.min(Math.max(due ?? idleMs, 5), backedOff(idleMs, failures)));
  }

  return {
    wake,
    async close() {
      closed = true;
      clearTimeout(timer);
      await looking;
      await Promise.all(active);
    },
  };
}
