import type { Redis, RedisOptions } from 'ioredis';
import type { TagInvalidation } from './invalidationLog.ts';
import type { CacheValue } from './memoryLevel.ts';
import { type Breaker, createBreaker, withDeadline } from './redisBreaker.ts';
import { invalidateScript, type RedisScript, readScript, storeScript } from './redisScripts.ts';

export interface RedisLevelOptions {
  /** Only its settings are used: the level opens a connection of its own, which neither queues nor resends. */
  readonly redis: Redis;
  readonly prefix: string;
  /** Longest life of an entry, ms. */
  readonly ttlMs: number;
  /** Time a call may take before the level is taken for absent, ms. */
  readonly timeoutMs: number;
  /** Called when a lost connection is back: messages may have been missed meanwhile. */
  readonly onReconnect: () => void;
}

export interface RedisHit {
  readonly value: CacheValue;
  readonly tags: readonly string[];
  readonly stamp: number;
  readonly remainingMs: number;
}

export interface RedisItem {
  readonly key: string;
  readonly value: CacheValue;
  readonly tags: readonly string[];
  readonly stamp: number;
  readonly ttlMs: number;
}

/** The shared level. No method ever rejects: what Redis cannot do at the moment is answered as absent. */
export interface RedisLevel {
  /** Null when the level cannot be used; else the sequence before any later load, and what still holds. */
  read(keys: readonly string[]): Promise<{ stamp: number; hits: (RedisHit | null)[] } | null>;
  /** Per item false when one of its tags was invalidated since its stamp; null when the level cannot be used. */
  store(items: readonly RedisItem[]): Promise<boolean[] | null>;
  /** Resolves when every instance's reads see it, or when it is kept for the moment Redis is back. */
  invalidate(events: readonly TagInvalidation[]): Promise<void>;
  /** A sequence known to lie before whatever starts now; null before the first contact. */
  readonly stamp: number | null;
  /** Resolves when every invalidation under way is delivered or kept. */
  delivered(): Promise<void>;
  readonly usable: boolean;
  close(): Promise<void>;
}

/** Tag that every entry carries: invalidating it drops the whole level. */
const everything = '*';
const maxPendingTags = 20_000;
const maxTagsPerCall = 2_000;
const markerTtlMs = 60_000;
const failedProbesBeforeReconnect = 5;
const retryMs = 50;

export function createRedisLevel(options: RedisLevelOptions): RedisLevel {
  const { timeoutMs } = options;
  // A hash tag: each script touches entries, tags and the sequence together, so in a Redis Cluster they share a slot.
  const prefix = `{${options.prefix}}`;
  const sequenceKey = `${prefix}seq`;
  const tagPrefix = `${prefix}t:`;
  const markerPrefix = `${prefix}m:`;
  const entryKey = (key: string) => `${prefix}e:${key}`;
  const tagTtlMs = options.ttlMs * 3;
  const breaker: Breaker = createBreaker();
  /** What Redis has not heard of yet. While there is any, its entries cannot be believed and are not read. */
  let pending = new Set<string>();
  /** The part of it that is on its way. */
  let sending = new Set<string>();
  /** On their way, with their tags. */
  const invalidating = new Map<Promise<void>, ReadonlySet<string>>();
  let stamp: number | null = null;
  let everReady = false;
  let failedProbes = 0;
  let probing: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  const client = options.redis.duplicate<Omit<RedisOptions, 'replyMapping'>>({
    connectionName: 'cache',
    keyPrefix: '',
    lazyConnect: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    retryStrategy: (times) => Math.min(25 * 2 ** Math.min(times, 6), 1_000),
  });
  client.on('error', () => {});
  client.on('close', () => {
    breaker.trip();
    retryLater();
  });
  client.on('ready', () => {
    if (everReady) options.onReconnect();
    everReady = true;
    breaker.trip();
    probe();
  });

  const heard = () => pending.size === 0 && sending.size === 0;
  const usable = () => !closed && breaker.closed && heard() && client.status === 'ready';

  async function run(script: RedisScript, keys: readonly string[], args: readonly (string | Buffer | number)[]) {
    const call = (name: string, body: string) =>
      client.callBuffer(name, [body, keys.length, ...keys, ...args]) as Promise<unknown>;
    const answer = call('EVALSHA', script.sha).catch((error: unknown) => {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return call('EVAL', script.text);
      throw error;
    });
    return withDeadline(answer, timeoutMs);
  }

  async function guarded<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      const value = await call();
      breaker.succeeded();
      return value;
    } catch {
      breaker.failed();
      retryLater();
      return null;
    }
  }

  async function sendInvalidations(events: readonly TagInvalidation[]): Promise<boolean> {
    for (const chunk of chunks(events)) {
      const args: (string | number)[] = [tagPrefix, tagTtlMs, markerPrefix, markerTtlMs];
      for (const { id, tags } of chunk) args.push(id ?? '', tags.length, ...tags);
      const reply = await guarded(() => run(invalidateScript, [sequenceKey], args));
      if (reply === null) return false;
      stamp = Number(reply);
    }
    return true;
  }

  /** Also without traffic: other instances believe Redis, and wait for what this one has to say. */
  function retryLater(): void {
    if (closed || retry) return;
    retry = setTimeout(() => {
      retry = undefined;
      if (usable()) return;
      probe();
      retryLater();
    }, retryMs).unref();
  }

  /** One attempt to be heard again: hands over what is pending, else asks for the sequence. */
  function probe(): void {
    if (closed || probing || client.status !== 'ready') return;
    if (breaker.closed ? heard() : !breaker.mayProbe) return;
    probing = attempt().finally(() => {
      probing = undefined;
    });
  }

  async function attempt(): Promise<void> {
    // A tag invalidated once more while this is on its way has to be sent once more.
    sending = pending;
    pending = new Set();
    const reached =
      sending.size > 0
        ? await sendInvalidations([{ tags: [...sending] }])
        : (await guarded(() => run(readScript, [sequenceKey], [tagPrefix]).then(takeStamp))) !== null;
    const unheard = sending;
    sending = new Set();
    if (reached) {
      failedProbes = 0;
      return;
    }
    keep([{ tags: [...unheard] }]);
    failedProbes += 1;
    // A peer that vanished without closing would keep the connection hanging until TCP gives up.
    if (failedProbes % failedProbesBeforeReconnect === 0 && client.status === 'ready') client.disconnect(true);
  }

  function takeStamp(reply: unknown): unknown[] {
    const parts = reply as unknown[];
    stamp = Number(parts[0]);
    return parts;
  }

  function keep(events: readonly TagInvalidation[]): void {
    for (const { tags } of events) for (const tag of tags) pending.add(tag);
    if (pending.size > maxPendingTags) pending = new Set([everything]);
    retryLater();
  }

  return {
    async read(keys) {
      if (!usable()) {
        probe();
        return null;
      }
      const unconfirmed = [...invalidating];
      const reply = await guarded(() =>
        run(readScript, [sequenceKey, ...keys.map(entryKey)], [tagPrefix]).then(takeStamp),
      );
      // An invalidation sent before this read may be refused, or come second when its script had to be sent anew.
      if (unconfirmed.length > 0) await Promise.all(unconfirmed.map(([sent]) => sent));
      if (reply === null || !heard()) return null;
      const hits = keys.map((_, index) => {
        const hit = toHit(reply[index + 1]);
        return hit?.tags.some((tag) => unconfirmed.some(([, tags]) => tags.has(tag))) ? null : hit;
      });
      return { stamp: Number(reply[0]), hits };
    },

    async store(items) {
      if (!usable()) return null;
      const args: (string | Buffer | number)[] = [tagPrefix, tagTtlMs];
      for (const { value, tags, ttlMs, stamp: taken } of items) {
        const kind = typeof value === 'string' ? 's' : 'b';
        args.push(taken, Math.min(ttlMs, options.ttlMs), kind, [everything, ...tags].join('\n'), value);
      }
      const keys = items.map((item) => entryKey(item.key));
      const reply = await guarded(() => run(storeScript, keys, args));
      return reply === null ? null : (reply as unknown[]).map((stored) => Number(stored) === 1);
    },

    async invalidate(events) {
      if (closed) return;
      if (!usable()) {
        keep(events);
        probe();
        return;
      }
      const sent = sendInvalidations(events).then((reached) => {
        if (reached) return;
        keep(events);
        probe();
      });
      invalidating.set(sent, new Set(events.flatMap((event) => event.tags)));
      await sent.finally(() => invalidating.delete(sent));
    },

    async delivered() {
      await Promise.all(invalidating.keys());
    },

    get stamp() {
      return stamp;
    },
    get usable() {
      return usable();
    },

    async close() {
      closed = true;
      clearTimeout(retry);
      client.disconnect();
      await probing;
    },
  };
}

function toHit(reply: unknown): RedisHit | null {
  if (!Array.isArray(reply)) return null;
  const [stamp, tags, kind, value, remaining] = reply as [Buffer, Buffer, Buffer, Buffer, number];
  return {
    value: kind.toString() === 's' ? value.toString() : value,
    tags: tags.toString().split('\n').slice(1),
    stamp: Number(stamp),
    remainingMs: Number(remaining),
  };
}

/** Splits so that no call keeps Redis busy for long; an event larger than a call is split with its id only once. */
function* chunks(events: readonly TagInvalidation[]): Generator<TagInvalidation[]> {
  let chunk: TagInvalidation[] = [];
  let size = 0;
  for (const event of events) {
    if (event.tags.length > maxTagsPerCall) {
      // Parts without the id are applied by everyone: more work, never less.
      for (let at = 0; at < event.tags.length; at += maxTagsPerCall) {
        yield [{ tags: event.tags.slice(at, at + maxTagsPerCall) }];
      }
      continue;
    }
    if (size + event.tags.length > maxTagsPerCall && chunk.length > 0) {
      yield chunk;
      chunk = [];
      size = 0;
    }
    chunk.push(event);
    size += event.tags.length;
  }
  if (chunk.length > 0) yield chunk;
}
