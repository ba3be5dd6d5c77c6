import type { DocumentNode } from 'graphql';
import type { Authorizer } from '#shared/auth.ts';
import type { Cached, CacheValue, Level, TaggedCache } from '#shared/cache.ts';
import { createLru } from '#shared/lru.ts';
import { type Admission, createAdmission } from './admission.ts';
import { audienceKey, digest, joinKey, variablesKey } from './cacheKey.ts';
import { type DocumentPolicy, findDocumentPolicy } from './documentPolicy.ts';
import type { FieldPolicies } from './fieldPolicies.ts';
import { mayRead } from './mayRead.ts';
import type { RequestIdentity, RequestReadsRegistry } from './requestReads.ts';
import { tagsInRequest } from './subgraphFetch.ts';

export interface ResponseRequest {
  readonly document: DocumentNode;
  /** Its text, as the client sent it. */
  readonly source: string;
  readonly operationName: string | null;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
  /** Its `RequestScope`. */
  readonly scope: RequestIdentity;
  /** Kept from the first time on: nothing below this grain would keep it. */
  readonly admitted?: boolean;
  /** Bounds the wait for what another request executes; null where its time is over. @default it waits as long as that takes */
  readonly wait?: <Value>(pending: Promise<Value>) => Promise<Value | null>;
}

/** An execution, and its `data` as JSON when it had no error; null keeps it from being kept. */
export interface Executed<Response> {
  readonly response: Response;
  readonly data: CacheValue | null;
}

/** Either the kept `data` as JSON, or the response of the execution this very call made. */
export type Served<Response> =
  | { readonly data: CacheValue; readonly hit: Level }
  | { readonly response: Response; readonly hit: 'miss' };

/** Whole responses of operations that are asked again and again, as bytes: a hit neither executes nor serialises. */
export interface ResponseCache {
  /**
   * Answers from the cache, or executes and keeps the result; identical requests meanwhile share one execution. Whoever waits
   * for that of another, in vain or for too long, executes itself: how the other one failed is its own affair.
   */
  serve<Response>(request: ResponseRequest, execute: () => Promise<Executed<Response>>): Promise<Served<Response>>;
  /** Takes over what the loaders of this process noted in a request that was executed without a data source. */
  noteReads(scope: RequestIdentity): void;
}

export interface ResponseCacheDeps {
  readonly cache: TaggedCache;
  readonly policies: FieldPolicies;
  readonly authorizer: Authorizer;
  readonly reads: RequestReadsRegistry;
  readonly admission?: Admission;
  /** As for fetches. @default 'bypass' */
  readonly subjectScope?: 'key' | 'bypass';
}

interface OperationPlan extends DocumentPolicy {
  readonly hash: string;
}

const maxPlans = 5_000;

/**
 * Of what fetches keep already, only what was asked for at least twice lately is kept whole as well, so that one-off
 * operations do not push hot entities out.
 * A response is as stale as its oldest part: it carries the tags of all fetches it made and the least of their stamps.
 */
export function createResponseCache(deps: ResponseCacheDeps): ResponseCache {
  const { cache, policies } = deps;
  const admission = deps.admission ?? createAdmission();
  const plans = createLru<{ plan: OperationPlan | null }>(maxPlans);

  function planOf(request: ResponseRequest): OperationPlan | null {
    const id = joinKey(request.operationName ?? '', request.source);
    const known = plans.get(id);
    if (known) return known.plan;
    const policy = findDocumentPolicy(request.document, policies, {
      subgraph: null,
      operationName: request.operationName,
    });
    const plan = policy && { ...policy, hash: digest(id) };
    plans.set(id, { plan });
    return plan;
  }

  async function keyOf(request: ResponseRequest, plan: OperationPlan): Promise<string | null> {
    const subjectBound = plan.scope === 'SUBJECT' && deps.subjectScope !== 'key';
    if (!plan.cacheable || subjectBound || !(await mayRead(deps.authorizer, request.scope.principal, plan.requires)))
      return null;
    return joinKey(
      'r',
      audienceKey(request.scope.principal, plan.scope, deps.authorizer.rightsKey?.(request.scope.principal)),
      plan.hash,
      variablesKey(request.variables ?? {}),
    );
  }

  return {
    async serve<Response>(
      request: ResponseRequest,
      execute: () => Promise<Executed<Response>>,
    ): Promise<Served<Response>> {
      const executeAlone = async (): Promise<Served<Response>> => ({
        response: (await execute()).response,
        hit: 'miss',
      });
      if (!cache.enabled) return executeAlone();
      const reads = deps.reads.of(request.scope);
      const plan = planOf(request);
      const key = plan && !reads.bypass ? await keyOf(request, plan) : null;
      if (!plan || key === null) return executeAlone();
      const kept = cache.peek(key);
      if (kept?.value) return { data: kept.value, hit: kept.hit };
      if (!request.admitted && !admission.seenBefore(key)) return executeAlone();

      let own: Executed<Response> | undefined;
      let leads = false;
      const pending = cache.getOrLoad(key, {
        ttlMs: (plan.maxAgeSeconds ?? 0) * 1_000,
        since: reads.began,
        async load() {
          leads = true;
          own = await execute();
          if (own.data === null || !reads.complete) return null;
          return { value: own.data, tags: [...reads.tags], stamp: reads.stamp };
        },
      });
      let cached: Cached | null;
      try {
        cached = await (request.wait === undefined ? pending : request.wait(pending));
        if (cached === null && leads) cached = await pending;
      } catch (error) {
        if (leads) throw error;
        cached = null;
      }
      if (own) return { response: own.response, hit: 'miss' };
      return cached === null || cached.value === null ? executeAlone() : { data: cached.value, hit: cached.hit };
    },

    noteReads(scope) {
      if (!cache.enabled) return;
      const reads = deps.reads.of(scope);
      const tags = tagsInRequest(scope);
      if (tags) reads.add(tags, reads.began.stamp);
      else reads.addUnknown();
    },
  };
}
