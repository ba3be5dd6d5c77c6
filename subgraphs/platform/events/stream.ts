import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { type DeliveryRow, shownDelivery } from './rows.ts';

/** Deliveries of a pull subscription, as its partitions become free for them. */
export const eventReceived: StreamSubscription = {
  module: 'platform',
  kind: 'stream',
  streamId: (args) => String(args['subscriptionId']),
  types: ['delivery.ready'],
  payload(event) {
    const sequence = 'sequence' in event ? event.sequence : 0;
    return {
      cursor: encodeCursor(event.streamId, sequence),
      sequence,
      delivery: { __typename: 'PlatformDelivery', ...shownDelivery(event.data['delivery'] as DeliveryRow) },
    };
  },
  async admit({ tenantId }, { subscriptionId, partitions }, { sql }) {
    const [found] = isId(subscriptionId)
      ? ((await sql.unsafe('SELECT target FROM platform.event_subscription WHERE tenant_id = $1 AND id = $2', [
          tenantId,
          subscriptionId,
        ])) as unknown as { target: string }[])
      : [];
    if (!found) throw new PlatformError('NOT_FOUND', 'no such event subscription', { path: ['subscriptionId'] });
    if (found.target !== 'pull')
      throw new PlatformError('INVALID_STATE', 'the subscription has a webhook', { path: ['subscriptionId'] });
    const own = Array.isArray(partitions) ? new Set(partitions as number[]) : null;
    return {
      decide(event) {
        if (event.type === 'event.subscription.deleted') return 'end';
        const delivery = event.data['delivery'] as DeliveryRow | undefined;
        return own === null || delivery === undefined || own.has(delivery.partition) ? 'deliver' : 'skip';
      },
    };
  },
};
