import { callOf } from '../call.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import { readEntry, readInvalidation, readKey, readPrefix, readWarming } from './inputs.ts';
import { shownEntry } from './rows.ts';

export const cachingQueries = {
  cacheEntry: async (_parent, { key }, { service, scope }) => {
    const found = await service.caching.entries.find(scope, readKey(key));
    return found && { entry: shownEntry(found.entry), level: found.level };
  },
  cacheEntries: async (_parent, { prefix, ...page }, { service, scope }) => {
    const found = await service.caching.entries.page(scope, readPrefix(prefix ?? ''), page);
    const edges = found.edges.map(({ cursor, node }) => ({ cursor, node: shownEntry(node) }));
    return { edges, nodes: edges.map(({ node }) => node), pageInfo: found.pageInfo };
  },
  cacheStats: async (_parent, { scope: which }, { service, scope }) => {
    const { levels, areas, ...stats } = await service.caching.stats(scope, which);
    return { ...stats, levels: [...levels], areas: [...areas] };
  },
} satisfies QueryResolvers;

export const cachingMutations = {
  setCacheEntry: async (_parent, { input, expectedVersion, idempotencyKey }, { service, scope }) => {
    const entry = readEntry(input);
    const call = callOf(scope, idempotencyKey, 'setCacheEntry', { entry, expectedVersion });
    const row = await service.caching.entries.set(scope, entry, { expectedVersion: expectedVersion ?? null, call });
    return { entry: shownEntry(row), userErrors: [] };
  },
  deleteCacheEntry: async (_parent, { key, expectedVersion, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'deleteCacheEntry', { key, expectedVersion });
    const how = { expectedVersion: expectedVersion ?? null, call };
    const row = await service.caching.entries.remove(scope, readKey(key), how);
    return { entry: row && shownEntry(row), userErrors: [] };
  },
  invalidateCache: async (_parent, { input, idempotencyKey }, { service, scope }) => {
    const what = readInvalidation(input);
    const call = callOf(scope, idempotencyKey, 'invalidateCache', what);
    return { entries: await service.caching.entries.invalidate(scope, what, call), userErrors: [] };
  },
  warmCache: async (_parent, { input }, { service, scope }) => {
    const { failures, ...counts } = await service.caching.warm(scope, readWarming(input));
    return { ...counts, failures: [...failures], userErrors: [] };
  },
} satisfies MutationResolvers;
