import type { EventRow } from '#shared/events.ts';
import { isoText } from '#shared/record.ts';
import { type EventCategory, type EventPriority, eventPriorities } from './envelope.ts';

export interface SubscriptionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly patterns: readonly string[];
  readonly target: 'webhook' | 'pull';
  readonly url: string | null;
  readonly hasSecret: boolean;
  readonly deliveryMode: 'fire_and_forget' | 'at_least_once' | 'exactly_once';
  readonly partitions: number;
  readonly maxRetry: number;
  readonly retryDelayMs: number;
  readonly deadLetter: boolean;
  readonly batchSize: number;
  readonly ackTimeoutMs: number;
  readonly module: string | null;
  readonly headers: Readonly<Record<string, unknown>> | null;
  readonly batchWaitMs: number;
  readonly status: 'active' | 'paused';
  readonly revision: number;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export const subscriptionColumns = `s.tenant_id AS "tenantId", s.id, s.name, s.patterns, s.target, s.url,
  s.secret IS NOT NULL AS "hasSecret", s.delivery_mode AS "deliveryMode", s.partitions, s.max_retry AS "maxRetry",
  s.retry_delay_ms AS "retryDelayMs", s.dead_letter AS "deadLetter", s.batch_size AS "batchSize",
  s.ack_timeout_ms AS "ackTimeoutMs", s.module, s.headers, s.batch_wait_ms AS "batchWaitMs", s.status, s.revision, s.created_by AS "createdBy",
  ${isoText('s.created_at')} AS "createdAt", ${isoText('s.updated_at')} AS "updatedAt"`;

/** pending waits, sent is on its way; acknowledged, failed (given up, expired) and dead are its ends. */
export type DeliveryStatus = 'pending' | 'sent' | 'acknowledged' | 'failed' | 'dead';

/** Why an attempt did not succeed. */
export type DeliveryFault = 'failed' | 'rejected' | 'timeout' | 'expired';

export interface DeliveryRow {
  readonly tenantId: string;
  readonly id: string;
  readonly subscriptionId: string;
  readonly ordinal: number;
  readonly partition: number;
  readonly orderingKey: string;
  readonly eventId: string;
  readonly replayId: string;
  readonly event: DeliveredEvent;
  readonly status: DeliveryStatus;
  readonly attempt: number;
  readonly priority: number;
  readonly lastError: string | null;
  readonly fault: DeliveryFault | null;
  readonly expired: boolean;
  readonly createdAt: string;
  readonly sentAt: string | null;
  readonly endedAt: string | null;
}

export const deliveryColumns = `d.tenant_id AS "tenantId", d.id, d.subscription_id AS "subscriptionId", d.ordinal, d.partition,
  d.ordering_key AS "orderingKey", d.event_id AS "eventId", d.replay_id AS "replayId", d.event, d.status, d.attempt,
  d.priority, d.last_error AS "lastError", d.fault, coalesce(d.expires_at <= now(), false) AS expired, ${isoText('d.created_at')} AS "createdAt",
  ${isoText('d.sent_at')} AS "sentAt", ${isoText('d.ended_at')} AS "endedAt"`;

/** Zeros: delivered as it came, not by a replay. */
export const noReplay = '00000000-0000-0000-0000-000000000000';

/** An event as its consumers are sent it. */
export interface DeliveredEvent {
  readonly id: string;
  readonly module: string;
  readonly type: string;
  readonly streamId: string;
  readonly sequence: number;
  readonly actor: string;
  readonly payload: unknown;
  readonly correlationId: string | null;
  readonly headers: unknown;
  /** Null of what modules tell. */
  readonly category: EventCategory | null;
  readonly priority: EventPriority;
  /** Modules it is for; none where it is for all. */
  readonly targetModules: readonly string[];
  readonly replyTo: string | null;
  readonly expiresAt: string | null;
  readonly traceparent: string | null;
  readonly timestamp: string;
}

/** Data of an event that was published through the API. */
export interface PublishedData {
  readonly payload: unknown;
  readonly orderingKey: string | null;
  readonly correlationId: string | null;
  readonly headers: unknown;
  readonly expiresAt: string | null;
  readonly category: EventCategory;
  readonly priority: EventPriority;
  readonly targetModules: readonly string[];
  readonly replyTo: string | null;
}

/** Events that were published have an envelope of their own; of all others the payload is the data. */
export function publishedData({ module, type, data }: EventRow): PublishedData | null {
  return module === 'platform' && !/^(delivery|file|config|event)\./.test(type) && 'payload' in data
    ? (data as unknown as PublishedData)
    : null;
}

export function deliveredEvent(event: EventRow): DeliveredEvent {
  const published = publishedData(event);
  return {
    id: event.eventId,
    module: event.module,
    type: event.type,
    streamId: event.streamId,
    sequence: event.sequence,
    actor: event.actor,
    payload: published ? published.payload : event.data,
    correlationId: published?.correlationId ?? null,
    headers: published?.headers ?? null,
    category: published ? (published.category ?? 'CUSTOM_EVENT') : null,
    priority: published?.priority ?? 'NORMAL',
    targetModules: published?.targetModules ?? [],
    replyTo: published?.replyTo ?? null,
    expiresAt: published?.expiresAt ?? null,
    traceparent: event.traceparent ?? null,
    timestamp: event.createdAt,
  };
}

export function shownSubscription({ tenantId: _tenant, ...row }: SubscriptionRow) {
  return {
    ...row,
    patterns: [...row.patterns],
    target: row.target.toUpperCase() as 'WEBHOOK' | 'PULL',
    deliveryMode: row.deliveryMode.toUpperCase() as 'FIRE_AND_FORGET' | 'AT_LEAST_ONCE' | 'EXACTLY_ONCE',
    status: row.status.toUpperCase() as 'ACTIVE' | 'PAUSED',
  };
}

export function shownDelivery({ tenantId: _tenant, replayId, expired: _expired, ...row }: DeliveryRow) {
  const { event, priority, fault, sentAt, endedAt } = row;
  return {
    ...row,
    // Deliveries of before lack what events did not have.
    event: { ...event, targetModules: [...(event.targetModules ?? [])], priority: event.priority ?? 'NORMAL' },
    priority: eventPriorities[priority]!,
    fault: fault === null ? null : (fault.toUpperCase() as Uppercase<DeliveryFault>),
    processingMs:
      row.status === 'acknowledged' && sentAt !== null && endedAt !== null
        ? new Date(endedAt).getTime() - new Date(sentAt).getTime()
        : null,
    replayId: replayId === noReplay ? null : replayId,
    status: row.status.toUpperCase() as 'PENDING' | 'SENT' | 'ACKNOWLEDGED' | 'FAILED' | 'DEAD',
    inboxKey: inboxKey(row.subscriptionId, row.eventId),
  };
}

/** The same for every attempt at the same event: what a consumer remembers beside its own work to do it once. */
export function inboxKey(subscriptionId: string, eventId: string): string {
  return `${subscriptionId}:${eventId}`;
}
