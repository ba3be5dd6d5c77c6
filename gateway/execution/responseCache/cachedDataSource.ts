import type { GraphQLDataSource } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import { type DocumentNode, parse } from 'graphql';
import type { Authorizer, AuthScope } from '#shared/auth.ts';
import type { Loaded, TaggedCache } from '#shared/cache.ts';
import { createLru } from '#shared/lru.ts';
import { audienceKey, digest, joinKey, variablesKey } from './cacheKey.ts';
import { type DocumentPolicy, findDocumentPolicy } from './documentPolicy.ts';
import { fetchEntities } from './entityFetch.ts';
import type { FieldPolicies } from './fieldPolicies.ts';
import { fetchList } from './listFetch.ts';
import { asksForRows, entityHash, findListPlan, type ListPlan, type RowPlace } from './listPlan.ts';
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
  /** It asks for entities by fields of their rows alone. */
  readonly ofRows: boolean;
  /** Its rows, where it may be kept as a list of ids. */
  readonly list: ListPlan | null;
}

const maxPlans = 5_000;

/**
 * Answers queries of the gateway to one subgraph from the cache, entities one by one, lists of them by their ids. The gateway changes what it is
 * given, so everybody gets a copy of their own, parsed from the text that is kept. An answer is kept when all its
 * fields allow it, it has no error, and the subgraph says what makes it stale (`extensions.cacheTags`).
 */
export function createCachedDataSource(inner: GraphQLDataSource, deps: CachedDataSourceDeps): GraphQLDataSource {
  const { cache, policies, subgraph } = deps;
  const findTags = deps.findTags ?? findTagsInExtensions;
  const plans = createLru<{ plan: FetchPlan | null }>(maxPlans);

  function planOf(options: ProcessOptions): FetchPlan | null {
    const text = options.request.query ?? '';
    const known = plans.get(text);
    if (known) return known.plan;
    const document = ('document' in options ? options.document : undefined) ?? parse(text);
    const policy = findDocumentPolicy(document, policies, { subgraph });
    const plan = policy && {
      ...policy,
      hash: policy.entities ? entityHash(document) : digest(text),
      ofRows: policy.entities && asksForRows(document, policies, subgraph),
      list: policy.entities ? null : listOf(document, policy),
    };
    plans.set(text, { plan });
    return plan;
  }

  /** Who may see the list has to be who may see its rows: those are told without asking again. */
  function listOf(document: DocumentNode, policy: DocumentPolicy): ListPlan | null {
    const list = policy.cacheable && policy.scope !== 'SUBJECT' ? findListPlan(document, policies, subgraph) : null;
    const requires = list?.flatMap((place) => place.policy.requires) ?? [];
    return requires.every((permission) => policy.requires.includes(permission)) ? list : null;
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
      const rightsKey = deps.authorizer.rightsKey?.(principal);
      const keyOf = (scope: AuthScope, hash: string) =>
        joinKey('f', audienceKey(principal, scope, rightsKey), subgraph, hash);
      const fetch: CacheableFetch = {
        options,
        key: keyOf(plan.scope, plan.hash),
        ttlMs: (plan.maxAgeSeconds ?? 0) * 1_000,
        request,
        findTags,
        reads,
        ofRows: plan.ofRows,
      };
      if (plan.entities) return fetchEntities(inner, cache, fetch);
      if (plan.list === null) return fetchRoot(inner, cache, fetch);
      const keyOfPlace = ({ policy, hash }: RowPlace) => keyOf(policy.scope, hash);
      return fetchList(inner, cache, { fetch, plan: plan.list, keyOf: keyOfPlace });
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
