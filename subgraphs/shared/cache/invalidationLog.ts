/** Tags that a change made stale; with the id of the event that said so, where there is one. */
export interface TagInvalidation {
  readonly id?: string;
  readonly tags: readonly string[];
}

/**
 * Remembers which tags were invalidated when, so that a load can be judged by the tags it turns out to have, which
 * nobody knows before it ends. Bounded: what was forgotten counts as invalidated.
 */
export interface InvalidationLog {
  /** Number of the latest invalidation. A load or a reader notes it when it starts. */
  readonly position: number;
  record(tags: Iterable<string>): void;
  /** Makes everything that started before now count as invalidated. */
  recordAll(): void;
  /** Whether one of the tags was invalidated after `start`. */
  hasAfter(start: number, tags: readonly string[]): boolean;
}

export function createInvalidationLog(maxTags = 65_536): InvalidationLog {
  /** In order of position: a tag invalidated again moves to the end. */
  const positions = new Map<string, number>();
  let position = 0;
  /** Everything up to here may have been forgotten. */
  let floor = 0;

  return {
    get position() {
      return position;
    },
    record(tags) {
      position += 1;
      for (const tag of tags) {
        positions.delete(tag);
        positions.set(tag, position);
      }
      for (const [tag, at] of positions) {
        if (positions.size <= maxTags) break;
        positions.delete(tag);
        floor = at;
      }
    },
    recordAll() {
      position += 1;
      floor = position;
      positions.clear();
    },
    hasAfter(start, tags) {
      if (position === start) return false;
      return start < floor || tags.some((tag) => (positions.get(tag) ?? 0) > start);
    },
  };
}
