import type { GraphQLFormattedError } from 'graphql';
import { lateDeliveryMs, type Metrics } from '#shared/telemetry.ts';
import { countOutcome, outcomeOf } from '../outcome.ts';

export type Transport = 'websocket' | 'sse' | 'multipart';
/** Who noticed that events were missing: a jump in the live feed, the poller without a bus, or the slow sweep. */
export type GapSource = 'live' | 'poll' | 'sweep';

/** What the hub reports as it happens; the gateway turns it into metrics. Calls must be cheap and must not throw. */
export interface HubMetrics {
  connectionOpened(transport: Transport): void;
  connectionClosed(transport: Transport): void;
  subscriptionStarted(field: string): void;
  subscriptionEnded(field: string): void;
  /** Groups of identical subscriptions at present. */
  groups(count: number): void;
  /** Messages handed to connections by one event of one group. */
  delivered(field: string, count: number): void;
  /** From the event's `createdAt` to the moment its bytes went to the connections, in so many messages. */
  commitToSend(field: string, ms: number, messages: number): void;
  /** Events that one resumed subscriber was sent before it went live. */
  replayed(field: string, events: number): void;
  gapFilled(source: GapSource, events: number): void;
  slowConsumerCut(transport: Transport): void;
  /** A subscription that ran was ended by an error. */
  subscriptionFailed(field: string, error: GraphQLFormattedError): void;
  /** A connection was closed because it could not be served, at its beginning or later. */
  connectionFailed(transport: Transport): void;
  /**
   * An operation was refused, or a subscription began: what a request came to. Operations that the graph executes are
   * counted there.
   * @param field of a subscription; null where it did not come so far
   */
  answered(field: string | null, errors?: readonly GraphQLFormattedError[]): void;
}

export const silentMetrics: HubMetrics = Object.freeze({
  connectionOpened: () => {},
  connectionClosed: () => {},
  subscriptionStarted: () => {},
  subscriptionEnded: () => {},
  groups: () => {},
  delivered: () => {},
  commitToSend: () => {},
  replayed: () => {},
  gapFilled: () => {},
  slowConsumerCut: () => {},
  subscriptionFailed: () => {},
  connectionFailed: () => {},
  answered: () => {},
});

/**
 * What the hub reports, as metrics of the process. Real time is held to its objective by what subscribers were promised and
 * what of it failed on our side. Sockets that a server closes as it goes away are no failure: their subscribers resume elsewhere.
 */
export function hubMetricsOf(metrics: Metrics): HubMetrics {
  const { realTime, realTimeFailures } = metrics;
  const failed = (reason: string, count = 1) => realTimeFailures.inc({ reason }, count);
  return {
    connectionOpened(transport) {
      metrics.activeConnections.inc({ transport });
      realTime.inc({ kind: 'connection' });
    },
    connectionClosed: (transport) => metrics.activeConnections.dec({ transport }),
    delivered(subscription, count) {
      metrics.deliveredMessages.inc({ subscription }, count);
      realTime.inc({ kind: 'message' }, count);
    },
    commitToSend(_field, ms, messages) {
      metrics.deliveryMs.observe(ms);
      if (ms > lateDeliveryMs) failed('late', messages);
    },
    subscriptionStarted: (subscription) => metrics.activeSubscriptions.inc({ subscription }),
    subscriptionEnded: (subscription) => metrics.activeSubscriptions.dec({ subscription }),
    groups: (count) => metrics.subscriptionGroups.set(count),
    replayed: (subscription, events) => metrics.replayedEvents.inc({ subscription }, events),
    gapFilled: (source, events) => metrics.filledGaps.inc({ source }, events),
    slowConsumerCut(transport) {
      metrics.slowConsumers.inc({ transport });
      failed('slow_consumer');
    },
    subscriptionFailed(field, error) {
      if (outcomeOf(field, [error]).failure?.isOurs) failed('subscription');
    },
    connectionFailed: () => failed('connection'),
    answered(field, errors) {
      const outcome = outcomeOf(field ?? 'none', errors);
      countOutcome(metrics, outcome);
      realTime.inc({ kind: 'subscription' });
      if (outcome.failure?.isOurs) failed('subscription');
    },
  };
}
