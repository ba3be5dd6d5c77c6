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
import type { Deliverer, TickFlusher } from './tick.ts';

export interface GroupOptions {
  readonly follower: StreamFollower;
  readonly source: StreamSubscription;
  readonly fieldName: string;
  readonly build: BuildPayload;
  readonly recentPayloads: number;
  readonly metrics: HubMetrics;
  readonly flusher: TickFlusher;
  createContext(member: Subscriber, event: EventRow | EphemeralEvent): ReturnType<CreateContext>;
}

export interface Membership {
  readonly gate: EventGate;
  readonly principal: Principal;
}

interface Entry {
  readonly event: EventRow | EphemeralEvent;
  /** Undefined until it is made, and for events the subscription does not select: only gates see them. */
  payload: Payload | undefined;
  readonly selected: boolean;
}

const isReady = ({ selected, payload }: Entry): boolean => !selected || payload !== undefined;

/** Results computed at once for events behind each other; more wait, so that a burst does not flood the subgraphs. */
const maxConcurrentFetches = 8;
/** Serialised results kept per group for those who replay. */
const maxRecentBytes = 1024 * 1024;

/**
 * Subscribers whose results are the same for every event: the result is computed and serialised once. Events are handed
 * on in order even where the fetches behind a later one finish first.
 */
export function createGroup(options: GroupOptions) {
  const { follower, source, build, metrics, flusher, fieldName } = options;
  const live = new Set<Subscriber>();
  let queue: Entry[] = [];
  /** How many of them, from the first on, have a result or one on its way. */
  let started = 0;
  let fetching = 0;
  let isDelivering = false;
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
      const types = source.kind === 'ephemeral' ? source.types : source.passing;
      if (types !== undefined && matchesType(types, event.type)) enqueue(event, true);
    },
    onBroken(error: PlatformError) {
      for (const subscriber of [...live]) subscriber.fail(error);
    },
  };
  const stopListening = follower.listen(listener);

  function enqueue(event: EventRow | EphemeralEvent, selected: boolean): void {
    if (live.size === 0 && queue.length === 0) return;
    queue.push({ event, payload: undefined, selected });
    start();
    scheduleDelivery();
  }

  /** What is ready by the end of the turn goes out in one pass over the subscribers. */
  function scheduleDelivery(): void {
    if (isDelivering) return;
    isDelivering = true;
    flusher.deliver(deliverer);
  }

  /** Computes the results of what waits, in order, as many at once as may be fetched at once. */
  function start(): void {
    for (; started < queue.length && fetching < maxConcurrentFetches; started++) {
      const entry = queue[started]!;
      if (!entry.selected) continue;
      const result = livePayloadOf(entry.event);
      if (result === undefined) return;
      if (!(result instanceof Promise)) {
        entry.payload = result;
        continue;
      }
      fetching++;
      // Builders answer failures with a payload, they do not reject.
      void result.then((payload) => {
        fetching--;
        entry.payload = payload;
        scheduleDelivery();
      });
    }
  }

  const deliverer: Deliverer = {
    deliver(isAlone) {
      isDelivering = false;
      start();
      for (let ready = takeReady(); ready.length > 0; ready = takeReady()) {
        deliver(ready, isAlone);
        // Those behind them could not all be fetched at once.
        start();
      }
    },
  };

  /** The first of the queue, up to one whose result is still being made; all of it while nobody is there to see. */
  function takeReady(): readonly Entry[] {
    let count = 0;
    while (count < queue.length && (live.size === 0 || isReady(queue[count]!))) count++;
    started = Math.max(0, started - count);
    if (count < queue.length) return queue.splice(0, count);
    const ready = queue;
    queue = [];
    return ready;
  }

  function deliver(entries: readonly Entry[], isAlone: boolean): void {
    const delivered = entries.map(() => 0);
    for (const subscriber of live) {
      try {
        for (let index = 0; index < entries.length; index++) {
          const { event, payload, selected } = entries[index]!;
          const sequence = 'sequence' in event ? event.sequence : undefined;
          if (subscriber.offer(event, sequence, selected ? payload : undefined)) delivered[index]!++;
        }
        if (isAlone) subscriber.flush();
      } catch (error) {
        // It would go on with a gap; told so, it resumes. The others are served.
        subscriber.fail(error);
      }
    }
    for (let index = 0; index < entries.length; index++) {
      if (delivered[index] === 0) continue;
      metrics.delivered(fieldName, delivered[index]!);
      const tookMs = Date.now() - Date.parse(entries[index]!.event.createdAt);
      metrics.commitToSend(fieldName, tookMs, delivered[index]!);
    }
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
      queue = [];
      started = 0;
      payloads.clear();
    },
  };
}

export type Group = ReturnType<typeof createGroup>;
