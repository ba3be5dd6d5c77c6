import type { GraphQLDataSource } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import { parse } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Authorizer } from '#shared/auth.ts';
import type { Loaded, TaggedCache } from '#shared/cache.ts';
import { audienceKey, digest, joinKey, variablesKey } from './cacheKey.ts';
import { type DocumentPolicy, findDocumentPolicy } from './documentPolicy.ts';
import { fetchEntities } from './entityFetch.ts';
import type { FieldPolicies } from './fieldPolicies.ts';
import { mayRead } from './mayRead.ts';
import type { RequestIdentity, RequestReads, RequestReadsRegistry } from './requestReads.ts';
import {
  type CacheableFetch,
  type Context,
  type FindTags,
  findTagsInExtensions,
  isFaultless,
  type ProcessOptions,
  tagsOf,
} from './subgraphFetch.ts';

export interface CachedDataSourceDeps {
  readonly subgraph: string;
  readonly cache: TaggedCache;
  readonly policies: FieldPolicies;
  readonly authorizer: Authorizer;
  readonly reads: RequestReadsRegistry;
  /** The request (its `RequestScope`) that a GraphQL context belongs to. */
  readonly requestOf: (context: Context) => RequestIdentity;
  /** Where the tags of an answer are found. @default in its extensions */
  readonly findTags?: FindTags;
  /**
   * What to do with answers that depend on who asks: `key` keeps them for that subject alone, which is right only
   * where membership changes carry tags the subgraph reports; `bypass` never keeps them. @default 'bypass'
   */
  readonly subjectScope?: 'key' | 'bypass';
}

interface FetchPlan extends DocumentPolicy {
  readonly hash: string;
}

const maxPlans = 5_000;

/**
 * Answers queries of the gateway to one subgraph from the cache, entities one by one. The gateway changes what it is
 * given, so everybody gets a copy of their own, parsed from the text that is kept. An answer is kept when all its
 * fields allow it, it has no error, and the subgraph says what makes it stale (`extensions.cacheTags`).
 */
export function createCachedDataSource(inner: GraphQLDataSource, deps: CachedDataSourceDeps): GraphQLDataSource {
  const { cache, policies, subgraph } = deps;
  const findTags = deps.findTags ?? findTagsInExtensions;
  const plans = new LRUCache<string, { plan: FetchPlan | null }>({ max: maxPlans });

  function planOf(options: ProcessOptions): FetchPlan | null {
    const text = options.request.query ?? '';
    const known = plans.get(text);
    if (known) return known.plan;
    const parsed = 'document' in options ? options.document : undefined;
    const policy = findDocumentPolicy(parsed ?? parse(text), policies, { subgraph });
    const plan = policy && { ...policy, hash: digest(text) };
    plans.set(text, { plan });
    return plan;
  }

  async function pass(
    options: ProcessOptions,
    request: RequestIdentity,
    reads: RequestReads,
  ): Promise<GatewayGraphQLResponse> {
    const response = await inner.process(options);
    const tags = tagsOf(response, { request, findTags });
    if (tags) reads.add(tags, reads.began.stamp);
    else reads.addUnknown();
    return response;
  }

  return {
    async process(options: ProcessOptions) {
      if (!cache.enabled || !('incomingRequestContext' in options)) return inner.process(options);
      const request = deps.requestOf(options.context);
      const { principal } = request;
      const reads = deps.reads.of(request);
      const plan = planOf(options);
      const subjectBound = plan?.scope === 'SUBJECT' && deps.subjectScope !== 'key';
      if (
        !plan?.cacheable ||
        subjectBound ||
        reads.bypass ||
        !(await mayRead(deps.authorizer, principal, plan.requires))
      ) {
        return pass(options, request, reads);
      }
      const fetch: CacheableFetch = {
        options,
        key: joinKey(
          'f',
          audienceKey(principal, plan.scope, deps.authorizer.rightsKey?.(principal)),
          subgraph,
          plan.hash,
        ),
        ttlMs: (plan.maxAgeSeconds ?? 0) * 1_000,
        request,
        findTags,
        reads,
      };
      return plan.entities ? fetchEntities(inner, cache, fetch) : fetchRoot(inner, cache, fetch);
    },
  };
}

async function fetchRoot(
  inner: GraphQLDataSource,
  cache: TaggedCache,
  fetch: CacheableFetch,
): Promise<GatewayGraphQLResponse> {
  const { options, reads } = fetch;
  let own: GatewayGraphQLResponse | undefined;
  const cached = await cache.getOrLoad(joinKey(fetch.key, variablesKey(options.request.variables)), {
    ttlMs: fetch.ttlMs,
    since: reads.began,
    async load(): Promise<Loaded | null> {
      own = await inner.process(options);
      const tags = tagsOf(own, fetch);
      return tags && own.data && isFaultless(own) ? { value: JSON.stringify(own.data), tags } : null;
    },
  });
  // Somebody else's answer that was not to be shared: an error, say.
  if (cached.value === null) own ??= await inner.process(options);
  const tags = own ? tagsOf(own, fetch) : cached.tags;
  if (tags) reads.add(tags, cached.stamp);
  else reads.addUnknown();
  return own ?? { data: JSON.parse(String(cached.value)) };
}
