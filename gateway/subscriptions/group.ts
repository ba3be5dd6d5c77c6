import { LRUCache } from 'lru-cache';
import type { PlatformError } from '#shared/errors.ts';
import {
  type EphemeralEvent,
  type EventGate,
  type EventRow,
  matchesType,
  type StreamSubscription,
} from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import type { StreamFollower, StreamListener } from './follower.ts';
import type { HubMetrics } from './metrics.ts';
import type { BuildPayload, CreateContext, Payload } from './payload.ts';
import type { Subscriber } from './subscriber.ts';

export interface GroupOptions {
  readonly follower: StreamFollower;
  readonly source: StreamSubscription;
  readonly fieldName: string;
  readonly build: BuildPayload;
  readonly recentPayloads: number;
  readonly metrics: HubMetrics;
  createContext(member: Subscriber, event: EventRow | EphemeralEvent): ReturnType<CreateContext>;
}

export interface Membership {
  readonly gate: EventGate;
  readonly principal: Principal;
}

interface Entry {
  readonly event: EventRow | EphemeralEvent;
  /** Undefined for events the subscription does not select: only gates see them. */
  payload: Payload | undefined;
  pending: Promise<Payload> | undefined;
  readonly selected: boolean;
}

/** Results computed at once for events behind each other; more wait, so that a burst does not flood the subgraphs. */
const maxConcurrentFetches = 8;
/** Serialised results kept per group for those who replay. */
const maxRecentBytes = 1024 * 1024;

/**
 * Subscribers whose results are the same for every event: the result is computed and serialised once. Events are handed
 * on in order even where the fetches behind a later one finish first.
 */
export function createGroup(options: GroupOptions) {
  const { follower, source, build, metrics, fieldName } = options;
  const live = new Set<Subscriber>();
  const queue: Entry[] = [];
  const payloads = new LRUCache<number, Payload | Promise<Payload>>({
    max: options.recentPayloads,
    maxSize: maxRecentBytes,
    sizeCalculation: (payload) => (payload instanceof Promise ? 1 : payload.byteLength),
  });

  const listener: StreamListener = {
    onEvent(event) {
      enqueue(event, matchesType(source.types, event.type));
    },
    onEphemeral(event) {
      if (source.kind === 'ephemeral' && matchesType(source.types, event.type)) enqueue(event, true);
    },
    onBroken(error: PlatformError) {
      for (const subscriber of [...live]) subscriber.fail(error);
    },
  };
  const stopListening = follower.listen(listener);

  function enqueue(event: EventRow | EphemeralEvent, selected: boolean): void {
    if (live.size === 0 && queue.length === 0) return;
    queue.push({ event, payload: undefined, pending: undefined, selected });
    flush();
  }

  function flush(): void {
    start();
    for (let entry = queue[0]; entry !== undefined; entry = queue[0]) {
      if (entry.selected && entry.payload === undefined && live.size > 0) return;
      queue.shift();
      deliver(entry);
      start();
    }
  }

  /** Computes what stands first in the queue; what is there at once needs no second look. */
  function start(): void {
    for (let index = 0; index < queue.length && index < maxConcurrentFetches; index++) {
      const entry = queue[index];
      if (entry === undefined || !entry.selected || entry.payload !== undefined || entry.pending !== undefined)
        continue;
      const result = livePayloadOf(entry.event);
      if (result === undefined) continue;
      if (result instanceof Promise) {
        entry.pending = result;
        // Builders answer failures with a payload, they do not reject.
        void result.then((payload) => {
          entry.payload = payload;
          flush();
        });
      } else {
        entry.payload = result;
      }
    }
  }

  function deliver({ event, payload, selected }: Entry): void {
    const sequence = 'sequence' in event ? event.sequence : undefined;
    const result = selected ? payload : undefined;
    let delivered = 0;
    for (const subscriber of live) {
      if (subscriber.offer(event, sequence, result)) delivered++;
    }
    if (delivered === 0) return;
    metrics.delivered(fieldName, delivered);
    metrics.commitToSend(fieldName, Date.now() - Date.parse(event.createdAt));
  }

  /**
   * The result for those who are there; undefined while nobody is. One made in this process is not kept: whoever
   * replays the event makes it once more for all who follow, and keeping it for them would cost more than making it.
   */
  function livePayloadOf(event: EventRow | EphemeralEvent): Payload | Promise<Payload> | undefined {
    const kept = payloads.size > 0 && 'sequence' in event ? payloads.get(event.sequence) : undefined;
    if (kept !== undefined) return kept;
    const member = live.values().next().value;
    if (member === undefined) return undefined;
    const result = build(event, () => options.createContext(member, event));
    if (result instanceof Promise) keep(event, result);
    return result;
  }

  /** The result for one who replays an event, kept for the next who does. */
  function payloadOf(event: EventRow, asker: Subscriber): Payload | Promise<Payload> {
    const kept = payloads.get(event.sequence);
    if (kept !== undefined) return kept;
    const result = build(event, () => options.createContext(asker, event));
    keep(event, result);
    return result;
  }

  function keep(event: EventRow | EphemeralEvent, result: Payload | Promise<Payload>): void {
    if (!('sequence' in event)) return;
    const { sequence } = event;
    payloads.set(sequence, result);
    if (result instanceof Promise) {
      void result.then((payload) => {
        if (payloads.peek(sequence) !== result) return;
        if (payload.hasErrors) payloads.delete(sequence);
        else payloads.set(sequence, payload);
      });
    }
  }

  return {
    follower,
    source,
    fieldName,
    payloadOf,
    isSelected: (event: EventRow): boolean => matchesType(source.types, event.type),
    join(subscriber: Subscriber): void {
      live.add(subscriber);
    },
    leave(subscriber: Subscriber): void {
      live.delete(subscriber);
    },
    close(): void {
      stopListening();
      queue.length = 0;
      payloads.clear();
    },
  };
}

export type Group = ReturnType<typeof createGroup>;
