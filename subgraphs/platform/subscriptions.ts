import type { StreamSubscription } from '#shared/events.ts';
import { errorSubscriptions } from './errors/subscriptions.ts';
import { loggingSubscriptions } from './logging/subscriptions.ts';
import { monitoringSubscriptions } from './monitoring/subscriptions.ts';

/** Fields of `Subscription` that the platform module feeds. */
export const platformSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  ...loggingSubscriptions,
  ...monitoringSubscriptions,
  ...errorSubscriptions,
};
