import type { GraphQLDataSource, GraphQLDataSourceProcessOptions } from '@apollo/gateway';
import { GraphQLDataSourceRequestKind } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import { parse } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Authorizer } from '#shared/auth.ts';
import type { Loaded, TaggedCache } from '#shared/cache.ts';
import type { Principal } from '#shared/principal.ts';
import { audienceKey, digest, joinKey, tenantTag, variablesKey } from './cacheKey.ts';
import { type DocumentPolicy, findDocumentPolicy } from './documentPolicy.ts';
import { fetchEntities } from './entityFetch.ts';
import type { FieldPolicies } from './fieldPolicies.ts';
import { mayRead } from './mayRead.ts';
import type { RequestReads, RequestReadsRegistry } from './requestReads.ts';

export type Context = Record<string, unknown>;
export type ProcessOptions = GraphQLDataSourceProcessOptions<Context>;

export interface CachedDataSourceDeps {
  readonly subgraph: string;
  readonly cache: TaggedCache;
  readonly policies: FieldPolicies;
  readonly authorizer: Authorizer;
  readonly reads: RequestReadsRegistry;
  readonly principalOf: (context: Context) => Principal;
  /**
   * What to do with answers that depend on who asks: `key` keeps them for that subject alone, which is right only
   * where membership changes carry tags the subgraph reports; `bypass` never keeps them. @default 'bypass'
   */
  readonly subjectScope?: 'key' | 'bypass';
}

interface FetchPlan extends DocumentPolicy {
  readonly hash: string;
}

/** One fetch that may be answered from the cache. */
export interface CacheableFetch {
  readonly options: ProcessOptions;
  readonly key: string;
  readonly ttlMs: number;
  readonly tenantId: string;
  readonly reads: RequestReads;
}

const maxPlans = 5_000;

/**
 * Answers queries of the gateway to one subgraph from the cache, entities one by one. The gateway changes what it is
 * given, so everybody gets a copy of their own, parsed from the text that is kept. An answer is kept when all its
 * fields allow it, it has no error, and the subgraph says what makes it stale (`extensions.cacheTags`).
 */
export function createCachedDataSource(inner: GraphQLDataSource, deps: CachedDataSourceDeps): GraphQLDataSource {
  const { cache, policies, subgraph } = deps;
  const plans = new LRUCache<string, { plan: FetchPlan | null }>({ max: maxPlans });

  function planOf(options: ProcessOptions): FetchPlan | null {
    const text = options.request.query ?? '';
    const known = plans.get(text);
    if (known) return known.plan;
    const parsed = options.kind === GraphQLDataSourceRequestKind.INCOMING_OPERATION ? options.document : undefined;
    const policy = findDocumentPolicy(parsed ?? parse(text), policies, { subgraph });
    const plan = policy && { ...policy, hash: digest(text) };
    plans.set(text, { plan });
    return plan;
  }

  async function pass(
    options: ProcessOptions,
    principal: Principal,
    reads: RequestReads,
  ): Promise<GatewayGraphQLResponse> {
    const response = await inner.process(options);
    const tags = tagsOf(response, principal.tenantId);
    if (tags) reads.add(tags, reads.began.stamp);
    else reads.addUnknown();
    return response;
  }

  return {
    async process(options: ProcessOptions) {
      if (!cache.enabled || options.kind !== GraphQLDataSourceRequestKind.INCOMING_OPERATION)
        return inner.process(options);
      const reads = deps.reads.of(options.context);
      const principal = deps.principalOf(options.context);
      const plan = planOf(options);
      const subjectBound = plan?.scope === 'SUBJECT' && deps.subjectScope !== 'key';
      if (
        !plan?.cacheable ||
        subjectBound ||
        reads.bypass ||
        !(await mayRead(deps.authorizer, principal, plan.requires))
      ) {
        return pass(options, principal, reads);
      }
      const fetch: CacheableFetch = {
        options,
        key: joinKey('f', audienceKey(principal, plan.scope), subgraph, plan.hash),
        ttlMs: (plan.maxAgeSeconds ?? 0) * 1_000,
        tenantId: principal.tenantId,
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
  const { options, reads, tenantId } = fetch;
  let own: GatewayGraphQLResponse | undefined;
  const cached = await cache.getOrLoad(joinKey(fetch.key, variablesKey(options.request.variables)), {
    ttlMs: fetch.ttlMs,
    since: reads.began,
    async load(): Promise<Loaded | null> {
      own = await inner.process(options);
      const tags = tagsOf(own, tenantId);
      return tags && own.data && isFaultless(own) ? { value: JSON.stringify(own.data), tags } : null;
    },
  });
  // Somebody else's answer that was not to be shared: an error, say.
  if (cached.value === null) own ??= await inner.process(options);
  const tags = own ? tagsOf(own, tenantId) : cached.tags;
  if (tags) reads.add(tags, cached.stamp);
  else reads.addUnknown();
  return own ?? { data: JSON.parse(String(cached.value)) };
}

export function isFaultless(response: GatewayGraphQLResponse): boolean {
  return response.errors === undefined || response.errors.length === 0;
}

/** Tags of everything the subgraph read for the answer; undefined when it did not say. */
export function tagsOf(response: GatewayGraphQLResponse, tenantId: string): string[] | undefined {
  const tags: unknown = response.extensions?.['cacheTags'];
  return isTagList(tags) && tags.length > 0 ? tags.map((tag) => tenantTag(tenantId, tag)) : undefined;
}

export function isTagList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((tag) => typeof tag === 'string');
}
