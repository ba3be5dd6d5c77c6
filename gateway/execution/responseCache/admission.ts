/** Tells what was asked before from what is asked once. */
export interface Admission {
  /** Notes the key; true when it was noted before within the last one to two windows. */
  seenBefore(key: string): boolean;
}

/**
 * Two sets take turns, so that memory is bounded and old sightings fade without a timer per key (the doorkeeper of
 * TinyLFU, Einziger, Friedman and Manes 2017, with exact sets).
 */
export function createAdmission(options: { windowMs?: number; maxKeys?: number } = {}): Admission {
  const windowMs = options.windowMs ?? 10_000;
  const maxKeys = options.maxKeys ?? 50_000;
  let current = new Set<string>();
  let previous = new Set<string>();
  let startedMs = performance.now();

  return {
    seenBefore(key) {
      const elapsedMs = performance.now() - startedMs;
      if (elapsedMs > windowMs || current.size >= maxKeys) {
        previous = elapsedMs > 2 * windowMs ? new Set() : current;
        current = new Set();
        startedMs = performance.now();
      }
      const seen = current.has(key) || previous.has(key);
      current.add(key);
      return seen;
    },
  };
}
