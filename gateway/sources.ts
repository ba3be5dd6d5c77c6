import { type GraphQLDataSource, GraphQLDataSourceRequestKind } from '@apollo/gateway/dist/datasources/types.js';
import type { Authorizer } from '#shared/auth.ts';
import { consistencyHeader, type WrittenChange } from '#shared/cache/consistencyToken.ts';
import type { TaggedCache } from '#shared/cache.ts';
import { type IdentitySigner, identityHeader } from '#shared/identity.ts';
import { originHeader, originOf, writeOriginHeader } from '#shared/requestOrigin.ts';
import type { OpenSubgraph } from '#shared/subgraph.ts';
import type { Metrics } from '#shared/telemetry.ts';
import type { SubgraphName } from '../subgraphs/names.ts';
import type { GatewayContext } from './context.ts';
import type { FetchReport } from './execution/fetchHooks.ts';
import { createInProcessDataSource } from './execution/inProcess.ts';
import {
  createCachedDataSource,
  type createFieldPolicies,
  type createRequestReadsRegistry,
  invalidateWritten,
} from './execution/responseCache/index.ts';
import { findTagsInExtensions, findTagsInRequest } from './execution/responseCache/subgraphFetch.ts';
import { type ModuleGate, moduleDisabledError } from './moduleGate.ts';

export interface SourcesOptions {
  readonly names: readonly SubgraphName[];
  /** Subgraphs of this process. */
  readonly local: ReadonlyMap<SubgraphName, OpenSubgraph>;
  /** Where the others are. */
  readonly urls: ReadonlyMap<SubgraphName, string>;
  readonly identity: IdentitySigner;
  readonly cache: TaggedCache;
  readonly policies: ReturnType<typeof createFieldPolicies>;
  readonly reads: ReturnType<typeof createRequestReadsRegistry>;
  readonly authorizer: Authorizer;
  readonly metrics: Metrics;
  /** Modules closed to a tenant. */
  readonly closedTo: ModuleGate['closedTo'];
}

type Source = GraphQLDataSource<Record<string, unknown>>;

function contextOf(context: Record<string, unknown>): GatewayContext {
  return context as unknown as GatewayContext;
}

/** In front of the cache: what is kept of a module that is closed to the tenant is not told either. */
function createGatedSource(name: SubgraphName, closedTo: ModuleGate['closedTo'], source: Source): Source {
  // What would open it again, and what the gate itself asks.
  if (name === 'core') return source;
  return {
    async process(options) {
      if (options.kind === GraphQLDataSourceRequestKind.INCOMING_OPERATION) {
        const closed = await closedTo(contextOf(options.context).scope.principal.tenantId);
        if (closed.has(name)) return { data: null, errors: [moduleDisabledError(name)] } as never;
      }
      return source.process(options);
    },
  };
}

/** Observes how long subgraphs take. */
export function createFetchMeter(metrics: Metrics): (report: FetchReport) => void {
  return ({ subgraph, durationMs }) =>
    metrics.responseSeconds.observe({ module: subgraph, operation: 'fetch' }, durationMs / 1_000);
}

/**
 * One data source per subgraph: compiled in-process execution where the subgraph is here, pooled HTTP where it is not,
 * each behind the cache.
 * @throws {Error} when a subgraph is neither here nor has a URL.
 */
export async function createSources(options: SourcesOptions): Promise<{
  readonly sources: ReadonlyMap<string, Source>;
  close(): Promise<void>;
}> {
  const { metrics } = options;
  const closers: (() => Promise<void>)[] = [];
  const onFetch = createFetchMeter(metrics);

  async function open(name: SubgraphName): Promise<Source> {
    const local = options.local.get(name);
    if (local)
      return createInProcessDataSource<GatewayContext>({
        name,
        schema: local.schema,
        contextFor: (context) => local.contextFor(context.scope),
        onFetch,
      }) as unknown as Source;
    const url = options.urls.get(name);
    if (!url) throw new Error(`the subgraph ${name} is not served here and SUBGRAPH_URLS does not say where it is`);
    // The client of HTTP is loaded only where there is somebody to ask.
    const { createHttpDataSource } = await import('./execution/http.ts');
    const source = createHttpDataSource<GatewayContext>({
      name,
      url,
      timeoutMs: 10_000,
      headersFor: ({ scope }) => ({
        [identityHeader]: options.identity.sign(scope.principal),
        traceparent: scope.traceparent,
        'x-correlation-id': scope.correlationId,
        ...originOfCaller(scope.traceparent),
        ...(scope.consistencyToken === undefined ? {} : { [consistencyHeader]: scope.consistencyToken }),
      }),
      cancellationFor: ({ cancellation }) => cancellation,
      onFetch,
      onExtensions: (context, extensions) => {
        const written = extensions['written'];
        if (!Array.isArray(written)) return;
        // The events may still be on their way here; the writer must not read what stood in this cache before them.
        void invalidateWritten(options.cache, context.scope.principal.tenantId, written as WrittenChange[]);
        context.scope.written.push(...(written as WrittenChange[]));
      },
    });
    closers.push(() => source.close());
    return source as unknown as Source;
  }

  const sources = new Map<string, Source>();
  for (const name of options.names) {
    sources.set(
      name,
      createGatedSource(
        name,
        options.closedTo,
        createCachedDataSource(await open(name), {
          subgraph: name,
          cache: options.cache,
          policies: options.policies,
          authorizer: options.authorizer,
          reads: options.reads,
          findTags: options.local.has(name) ? findTagsInRequest : findTagsInExtensions,
          requestOf: (context) => contextOf(context).scope,
        }),
      ),
    );
  }
  return {
    sources,
    close: async () => {
      await Promise.all(closers.map((close) => close()));
    },
  };
}

function originOfCaller(traceparent: string): Record<string, string> {
  const origin = originOf(traceparent);
  return origin === null ? {} : { [originHeader]: writeOriginHeader(origin) };
}
