import type { Moment, TaggedCache } from '#shared/cache.ts';

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

/** Finds the reads of a request by its GraphQL context. */
export interface RequestReadsRegistry {
  of(context: object): RequestReads;
}

export function createRequestReadsRegistry(cache: TaggedCache): RequestReadsRegistry {
  const byContext = new WeakMap<object, RequestReads>();
  return {
    of(context) {
      let reads = byContext.get(context);
      if (!reads) {
        reads = createRequestReads(cache.now());
        byContext.set(context, reads);
      }
      return reads;
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
