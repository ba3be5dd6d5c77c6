export { createCachedDataSource } from './cachedDataSource.ts';
export { createFieldPolicies } from './fieldPolicies.ts';
export { createConsistency, invalidateByEvents, invalidateWritten } from './invalidation.ts';
export { openCache } from './openCache.ts';
export { createRequestReadsRegistry } from './requestReads.ts';
export { createResponseCache } from './responseCache.ts';
export { type FindTags, findTagsInExtensions, findTagsInRequest } from './subgraphFetch.ts';
