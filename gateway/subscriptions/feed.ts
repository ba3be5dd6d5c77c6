import { backedOff } from '#shared/backoff.ts';
import type { Bus, BusMessage } from '#shared/bus.ts';
import type { EventLog, StreamKey } from './eventLog.ts';
import { createStreamFollower, type StreamFollower } from './follower.ts';
import type { HubLogger } from './logger.ts';
import type { GapSource, HubMetrics } from './metrics.ts';
import { createRecentEvents } from './recentEvents.ts';
import { StreamEntries } from './streamEntries.ts';

export interface StreamFeedDeps {
  readonly bus: Bus;
  readonly eventLog: EventLog;
  readonly modules: readonly StreamKey['module'][];
  readonly pageSize: number;
  readonly recentEvents: number;
  readonly recentBytes: number;
  readonly pollIntervalMs: number;
  readonly sweepIntervalMs: number;
  readonly logger: HubLogger;
  readonly metrics: HubMetrics;
}

export interface StreamLease {
  readonly follower: StreamFollower;
  release(): void;
}

interface Entry {
  readonly follower: StreamFollower;
  leases: number;
}

/**
 * Followers of all streams somebody subscribes to. The bus feeds them; while it is not connected their heads are polled,
 * and a slow sweep looks after them even while it is.
 */
export function createStreamFeed(deps: StreamFeedDeps) {
  const { bus, eventLog, logger, metrics } = deps;
  const entries = new StreamEntries<Entry>();
  const recentEvents = createRecentEvents({ maxBytes: deps.recentBytes, maxEvents: deps.recentEvents });
  let checking = false;
  /** Looks in a row that failed; the first is said, not every one. */
  let failures = 0;
  let wasConnected = bus.connected;
  let lastSweep = performance.now();

  const stopListening = deps.modules.map((module) => bus.subscribe(module, onMessages));
  const timer = setInterval(tick, deps.pollIntervalMs);
  timer.unref();

  function onMessages(messages: readonly BusMessage[]): void {
    if (entries.size === 0) return;
    for (const message of messages) entries.get(message)?.follower.offer(message);
  }

  function tick(): void {
    const connected = bus.connected;
    const now = performance.now();
    const due = !connected || !wasConnected || now - lastSweep >= deps.sweepIntervalMs;
    const backedOffUntil = failures === 0 ? 0 : lastSweep + backedOff(deps.pollIntervalMs, failures);
    if (!due || checking || entries.size === 0 || now < backedOffUntil) return;
    const source: GapSource = connected && wasConnected ? 'sweep' : 'poll';
    wasConnected = connected;
    lastSweep = now;
    void checkHeads(source);
  }

  async function checkHeads(source: GapSource): Promise<void> {
    checking = true;
    try {
      const byModule = Map.groupBy(
        [...entries.values()].map(({ follower }) => follower.key),
        (key) => key.module,
      );
      const results = await Promise.allSettled(
        [...byModule].map(([module, keys]) => checkModule(module, keys, source)),
      );
      for (const result of results) {
        if (result.status === 'rejected' && failures === 0)
          logger.warn({ err: result.reason }, 'stream heads cannot be read');
      }
      failures = results.some((result) => result.status === 'rejected') ? failures + 1 : 0;
    } finally {
      checking = false;
    }
  }

  async function checkModule(
    module: StreamKey['module'],
    keys: readonly StreamKey[],
    source: GapSource,
  ): Promise<void> {
    for (const head of await eventLog.heads(module, keys)) {
      const entry = entries.get({ module, ...head });
      if (entry !== undefined) entry.follower.offerHead(head.lastSequence, source);
    }
  }

  return {
    /** Follows a stream until the lease is released. Events are not lost between this call and `opened`. */
    acquire(key: StreamKey): StreamLease {
      let entry = entries.get(key);
      if (entry === undefined) {
        const { pageSize } = deps;
        entry = {
          follower: createStreamFollower({ key, eventLog, pageSize, recentEvents, logger, metrics }),
          leases: 0,
        };
        entries.add(entry);
      }
      const held = entry;
      held.leases++;
      let released = false;
      const release = (): void => {
        if (released) return;
        released = true;
        held.leases--;
        if (held.leases === 0) entries.remove(held);
      };
      // A follower that could not open, or broke off, is of no use to the next one who asks.
      held.follower.opened.catch(() => entries.remove(held));
      return { follower: held.follower, release };
    },

    /** Drops a follower that broke off, so that the next subscriber begins with a new one. */
    forget(follower: StreamFollower): void {
      const entry = entries.get(follower.key);
      if (entry?.follower === follower) entries.remove(entry);
    },

    get size(): number {
      return entries.size;
    },

    close(): void {
      clearInterval(timer);
      for (const stop of stopListening) stop();
      entries.clear();
    },
  };
}

export type StreamFeed = ReturnType<typeof createStreamFeed>;
