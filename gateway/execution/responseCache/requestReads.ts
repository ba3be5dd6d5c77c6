import type { Moment, TaggedCache } from '#shared/cache.ts';
import type { Principal } from '#shared/principal.ts';

/** What one request has read so far, across all its fetches. */
export interface RequestReads {
  /** Before its first read: its loaders may remember rows since then. */
  readonly began: Moment;
  readonly tags: Set<string>;
  /** The least stamp of what came from the cache; null when a part of it had none. */
  readonly stamp: number | null;
  /** False when something was read of which nobody said what makes it stale. */
  readonly complete: boolean;
  /** Reads past the cache. */
  bypass: boolean;
  add(tags: readonly string[], stamp: number | null): void;
  addUnknown(): void;
}

/** One request, as one object from its first fetch to its last: Apollo Server clones the context, not what stands in it. */
export interface RequestIdentity {
  readonly principal: Principal;
  /** Tags of every row read so far, where loaders of this process note them. */
  readonly readTags?: ReadonlySet<string>;
}

export interface RequestReadsRegistry {
  of(request: RequestIdentity): RequestReads;
}

export function createRequestReadsRegistry(cache: TaggedCache): RequestReadsRegistry {
  // On the request itself: a weak map of requests makes each collection longer.
  const own = Symbol('reads');
  return {
    of(request: RequestIdentity & { [own]?: RequestReads }) {
      request[own] ??= createRequestReads(cache.now());
      return request[own];
    },
  };
}

function createRequestReads(began: Moment): RequestReads {
  const tags = new Set<string>();
  let stamp = began.stamp;
  let complete = true;
  return {
    began,
    tags,
    bypass: false,
    get stamp() {
      return stamp;
    },
    get complete() {
      return complete;
    },
    add(added, addedStamp) {
      for (const tag of added) tags.add(tag);
      stamp = stamp === null || addedStamp === null ? null : Math.min(stamp, addedStamp);
    },
    addUnknown() {
      complete = false;
    },
  };
}
