import type { GraphQLDataSourceProcessOptions } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import { subjectBoundTag } from '#shared/context.ts';
import { everythingTag, tenantTag } from './cacheKey.ts';
import type { RequestIdentity, RequestReads } from './requestReads.ts';

export type Context = Record<string, unknown>;
export type ProcessOptions = GraphQLDataSourceProcessOptions<Context>;

/** One fetch that may be answered from the cache. */
export interface CacheableFetch {
  readonly options: ProcessOptions;
  readonly key: string;
  readonly ttlMs: number;
  readonly request: RequestIdentity;
  readonly findTags: FindTags;
  readonly reads: RequestReads;
  /** Entities are fetched whose fields are of their rows: no other row makes one of them stale. @default false */
  readonly ofRows?: boolean;
}

export function isFaultless(response: GatewayGraphQLResponse): boolean {
  return response.errors === undefined || response.errors.length === 0;
}

/** Says what makes an answer stale; nothing when nobody knows. */
export type FindTags = (response: GatewayGraphQLResponse, request: RequestIdentity) => readonly string[] | undefined;

/** The subgraph reports its tags with the answer (`extensions.cacheTags`). */
export const findTagsInExtensions: FindTags = (response) => {
  const tags: unknown = response.extensions?.['cacheTags'];
  return isTagList(tags) && !tags.includes(subjectBoundTag) ? tags : undefined;
};

/**
 * The loaders of a subgraph in this process noted their tags in the request. They note a row once, so all that the
 * request has read so far counts, not only what was added by this fetch.
 */
export const findTagsInRequest: FindTags = (_response, { readTags }) =>
  readTags && !readTags.has(subjectBoundTag) ? [...readTags] : undefined;

/** What the loaders of this process noted in a request, as it stands in the cache. */
export function tagsInRequest({ principal, readTags }: RequestIdentity): string[] | undefined {
  if (!readTags || readTags.size === 0 || readTags.has(subjectBoundTag)) return undefined;
  return [...readTags, everythingTag].map((tag) => tenantTag(principal.tenantId, tag));
}

/** Tags of an answer as they stand in the cache; undefined when there are none, so that it cannot be kept. */
export function tagsOf(
  response: GatewayGraphQLResponse,
  fetch: Pick<CacheableFetch, 'request' | 'findTags'>,
): string[] | undefined {
  const tags = fetch.findTags(response, fetch.request);
  if (!tags || tags.length === 0) return undefined;
  return [...tags, everythingTag].map((tag) => tenantTag(fetch.request.principal.tenantId, tag));
}

export function isTagList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((tag) => typeof tag === 'string');
}
