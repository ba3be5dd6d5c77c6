import type { Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createCacheEntries } from './entries.ts';
import { createEntryReader } from './reader.ts';
import { createCacheStats } from './stats.ts';
import { createWarming } from './warming.ts';

/** Entries of the tenants' own, and what the caches of the platform do for them. */
export function createCaching(runtime: ModuleRuntime, once: Once) {
  const reader = createEntryReader(runtime);
  const entries = createCacheEntries(runtime, once, reader);
  const stats = createCacheStats(runtime, reader);
  return {
    entries,
    stats: stats.ofTenant,
    warm: createWarming(runtime).warm,
    start: reader.start,
    async sweep(): Promise<void> {
      await entries.sweep();
      await stats.sweep();
    },
  };
}
