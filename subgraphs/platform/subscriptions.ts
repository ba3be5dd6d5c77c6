import type { StreamSubscription } from '#shared/events.ts';
import { loggingSubscriptions } from './logging/subscriptions.ts';

/** Fields of `Subscription` that the platform module feeds. */
export const platformSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  ...loggingSubscriptions,
};
