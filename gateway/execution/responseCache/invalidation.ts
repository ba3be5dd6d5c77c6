import type { Bus, BusMessage } from '#shared/bus.ts';
import { readConsistencyToken, type WrittenChange } from '#shared/cache/consistencyToken.ts';
import type { TaggedCache, TagInvalidation } from '#shared/cache.ts';
import type { EventRow } from '#shared/events.ts';
import { createLru } from '#shared/lru.ts';
import { digest, tenantTag } from './cacheKey.ts';

const maxAppliedClaims = 20_000;
/** While a token that could not name its changes is young enough to matter, ms. */
const everythingClaimMs = 60_000;

/** Drops what committed events made stale, on this instance and in the shared level. Returns the function that stops it. */
export function invalidateByEvents(bus: Bus, cache: TaggedCache): () => void {
  return bus.subscribe('*', (messages) => void cache.invalidateEvents(messages.filter(isEvent).map(toInvalidation)));
}

/** For the instance that wrote, before it acknowledges. */
export function invalidateWritten(
  cache: TaggedCache,
  tenantId: string,
  changes: readonly WrittenChange[],
): Promise<void> {
  return cache.invalidateEvents(
    changes.map(({ eventId, tags }) => ({ id: eventId, tags: tags.map((tag) => tenantTag(tenantId, tag)) })),
  );
}

export interface Consistency {
  /**
   * Applies what the client says it wrote and this instance has not heard of, before anything is served to it.
   * Resolves to true when the request has to read past the cache.
   * @throws {BAD_USER_INPUT} when the token is not usable.
   */
  apply(token: string, tenantId: string): Promise<boolean>;
}

/**
 * A token is the client's word: it invalidates in its own tenant only, and never counts as having seen the event,
 * since it may name other tags than the event does.
 */
export function createConsistency(cache: TaggedCache): Consistency {
  const applied = createLru<true>(maxAppliedClaims);
  return {
    async apply(token, tenantId) {
      const claim = readConsistencyToken(token);
      if (claim.everything) return Date.now() - claim.issuedAtMs < everythingClaimMs;
      const tags: string[] = [];
      for (const change of claim.changes) {
        if (cache.hasSeen(change.eventId)) continue;
        const mark = digest(JSON.stringify([tenantId, change]));
        if (applied.has(mark)) continue;
        applied.set(mark, true);
        for (const tag of change.tags) tags.push(tenantTag(tenantId, tag));
      }
      if (tags.length > 0) await cache.invalidate(tags);
      return false;
    },
  };
}

function isEvent(message: BusMessage): message is EventRow {
  return 'eventId' in message;
}

function toInvalidation(event: EventRow): TagInvalidation {
  return { id: event.eventId, tags: event.tags.map((tag) => tenantTag(event.tenantId, tag)) };
}
