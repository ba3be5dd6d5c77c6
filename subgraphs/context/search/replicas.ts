import type { Bus, BusMessage } from '#shared/bus.ts';
import type { WrittenChange } from '#shared/cache/consistencyToken.ts';
import { runForAll } from '#shared/cancellation.ts';
import type { Config } from '#shared/config.ts';
import { isId } from '#shared/ids.ts';
import { createLru } from '#shared/lru.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { countContexts } from './documents.ts';
import { createTenantIndex, IndexTooLarge, type TenantIndex } from './tenantIndex.ts';

export interface SearchReplicasDeps {
  readonly sql: Sql;
  readonly bus: Bus;
  readonly config: Pick<Config, 'CONTEXT_SEARCH_INDEX_MB' | 'CONTEXT_SEARCH_INDEX_MAX'>;
  readonly logger: Logger;
}

/** The tenants' indexes that this process keeps. */
export interface SearchReplicas {
  readonly enabled: boolean;
  /** The tenant's index if it is there; else null, and one is being built unless the tenant is too large. */
  find(tenantId: string): TenantIndex | null;
  /** Waits for an index that is being built; null when there is none to wait for. */
  await(tenantId: string): Promise<TenantIndex | null>;
  /** Makes sure that the index knows what somebody says has been written, whether or not this process has heard of it. */
  acknowledge(replica: TenantIndex, changes: readonly WrittenChange[]): void;
  close(): void;
}

interface Slot {
  readonly replica: TenantIndex;
  loading: Promise<void>;
  searchedAtMs: number;
}

/** Tag of what makes lists of contexts stale, and prefix of the tag that names one. */
const listTag = 'contexts';
const contextTag = 'Context:';
const maxHeard = 20_000;
const maxRefused = 10_000;
/** How often the budget is looked at beside every build, ms: indexes grow with what is written. */
const budgetCheckMs = 1_000;
/** How long a tenant that is too large, or could not be read, stays with PostgreSQL, ms. */
const refusedMs = 600_000;
const failedMs = 5_000;
/** Changes that are read again without waiting for a search, while the tenant is searched at all. */
const eagerChanges = 256;
const eagerWithinMs = 60_000;
/** An index nobody searched while so much of it changed is built anew when somebody does. */
const forgottenChanges = 2_000;

/**
 * Indexes are built at a tenant's first search and follow the module's events, which every instance gets of all
 * instances. Beyond the budget those go that were not searched for the longest time.
 */
export function createSearchReplicas({ sql, bus, config, logger }: SearchReplicasDeps): SearchReplicas {
  const budget = config.CONTEXT_SEARCH_INDEX_MB * 1_048_576;
  const enabled = budget > 0;
  /** Least recently searched first. */
  const slots = new Map<string, Slot>();
  const refusedUntilMs = createLru<number>(maxRefused);
  let checkedAtMs = 0;
  let closed = false;
  const heard = createLru<true>(maxHeard);

  function drop(tenantId: string, reason: string): void {
    const slot = slots.get(tenantId);
    slots.delete(tenantId);
    if (slot) logger.debug({ tenantId, reason, contexts: slot.replica.index.size }, 'search index dropped');
  }

  function onMessages(messages: readonly BusMessage[]): void {
    for (const message of messages) {
      if (!('eventId' in message)) continue;
      // Rows have changed that no other event names.
      if (message.type === 'subject.erased') drop(message.tenantId, 'a subject was erased');
      if (!message.tags.includes(listTag)) continue;
      heard.set(message.eventId, true);
      const slot = slots.get(message.tenantId);
      if (!slot) continue;
      const { replica } = slot;
      replica.mark(message.streamId);
      if (!replica.loaded || replica.dirtyCount < eagerChanges) continue;
      if (performance.now() - slot.searchedAtMs < eagerWithinMs)
        replica
          .settle()
          .catch((error: unknown) => logger.warn({ error: String(error) }, 'changed contexts cannot be read'));
      else if (replica.dirtyCount > Math.max(forgottenChanges, replica.index.size / 4))
        drop(message.tenantId, 'not searched');
    }
  }
  const unsubscribe = enabled ? bus.subscribe('context', onMessages) : () => {};

  async function load(tenantId: string, replica: TenantIndex): Promise<void> {
    const startedAtMs = performance.now();
    try {
      const max = config.CONTEXT_SEARCH_INDEX_MAX;
      if ((await countContexts(sql, tenantId, max + 1)) > max) throw new IndexTooLarge(`over ${max} contexts`);
      await replica.load(budget);
      makeRoom();
      logger.debug(
        { tenantId, contexts: replica.index.size, bytes: replica.index.bytes, ms: performance.now() - startedAtMs },
        'search index built',
      );
    } catch (error) {
      const tooLarge = error instanceof IndexTooLarge;
      refusedUntilMs.set(tenantId, performance.now() + (tooLarge ? refusedMs : failedMs));
      drop(tenantId, String(error));
      if (!tooLarge && !closed) logger.warn({ tenantId, error: String(error) }, 'the search index cannot be built');
    }
  }

  /** Drops the least recently searched until the rest fits; the most recent one only where it alone does not. */
  function makeRoom(): void {
    checkedAtMs = performance.now();
    let bytes = 0;
    for (const { replica } of slots.values()) bytes += replica.index.bytes;
    for (const [tenantId, { replica }] of slots) {
      if (bytes <= budget) return;
      if (!replica.loaded) continue;
      // It has outgrown the budget by itself: built anew it would soon do so again.
      if (replica.index.bytes > budget) refusedUntilMs.set(tenantId, performance.now() + refusedMs);
      bytes -= replica.index.bytes;
      drop(tenantId, 'over the budget');
    }
  }

  /** The tenant's place, made the most recently searched. */
  function use(tenantId: string): Slot | null {
    const known = slots.get(tenantId);
    const now = performance.now();
    if (known) {
      known.searchedAtMs = now;
      slots.delete(tenantId);
      slots.set(tenantId, known);
      return known;
    }
    if (!enabled || (refusedUntilMs.get(tenantId) ?? 0) > now) return null;
    refusedUntilMs.delete(tenantId);
    const slot: Slot = { replica: createTenantIndex({ sql, tenantId }), loading: Promise.resolve(), searchedAtMs: now };
    // Marks arrive from here on, before the first row is read.
    slots.set(tenantId, slot);
    slot.loading = runForAll(() => load(tenantId, slot.replica));
    return slot;
  }

  return {
    enabled,
    find(tenantId) {
      const slot = use(tenantId);
      if (performance.now() - checkedAtMs > budgetCheckMs) makeRoom();
      return slot?.replica.loaded ? slot.replica : null;
    },
    async await(tenantId) {
      const slot = use(tenantId);
      await slot?.loading;
      return slot?.replica.loaded ? slot.replica : null;
    },
    acknowledge(replica, changes) {
      for (const { eventId, tags } of changes) {
        if (heard.has(eventId)) continue;
        for (const tag of tags) {
          const id = tag.startsWith(contextTag) ? tag.slice(contextTag.length) : '';
          if (isId(id)) replica.mark(id);
        }
      }
    },
    close() {
      closed = true;
      unsubscribe();
      slots.clear();
    },
  };
}
