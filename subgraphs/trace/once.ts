import { createOnce as createSharedOnce, type Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

export type { Once, OnceOptions, Written } from '#shared/once.ts';

/** Runs a change in one transaction with its events, once for all calls that have its key. */
export function createOnce(runtime: Pick<ModuleRuntime, 'sql' | 'publisher'>): Once {
  return createSharedOnce('trace', runtime);
}
