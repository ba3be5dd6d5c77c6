import type { StreamSubscription } from '#shared/events.ts';
import { configChanged } from './configuration/stream.ts';
import { errorSubscriptions } from './errors/subscriptions.ts';
import { eventReceived } from './events/stream.ts';
import { loggingSubscriptions } from './logging/subscriptions.ts';
import { monitoringSubscriptions } from './monitoring/subscriptions.ts';

/** Fields of `Subscription` that the platform module feeds. */
export const platformSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  ...loggingSubscriptions,
  ...monitoringSubscriptions,
  ...errorSubscriptions,
  configChanged,
  eventReceived,
};
