import { graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import type { Graph } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { createPrisma } from '../../prisma/client.ts';
import { traceSubgraph } from '../../subgraphs/trace/index.ts';
import { createTestDatabase } from '../support/database.ts';

/** What a client gets: plain JSON, checked by the expectations. */
// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
export type Json = any;

/** The trace subgraph over a database of its own, or as one more instance over another's; contexts are those it opens. */
export async function openTraceRig(
  env: Readonly<Record<string, string>> = {},
  shared: { readonly databaseUrl: string } | null = null,
) {
  const database = shared ? { url: shared.databaseUrl, drop: async () => {} } : await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'trace-test', max: 6 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'trace-test-prisma' });
  const bus = createLocalBus((error) => {
    throw error;
  });
  const publisher = createPublisher(bus, null);
  const logger = pino({ level: 'silent' });
  const compute = createComputePool({
    maxThreads: 1,
    logger,
    observer: { finished: () => {}, load: () => {}, threads: () => {} },
  });
  /** Owners of private contexts, null of open ones. */
  const contexts = new Map<string, string | null>();
  /** What contexts say beside that. */
  const states = new Map<string, object>();
  const plans = new Map<string, { readonly context: { readonly id: string }; readonly steps: { id: string }[] }>();
  /** Confirms as the graph tells them, by id. */
  const confirms = new Map<
    string,
    { readonly status: string; readonly targetType: string; readonly targetId: string }
  >();
  const asked: string[] = [];
  const graph: Graph = {
    execute: async (document, variables, { tenantId, subject }) => {
      asked.push(String(document));
      const id = String(variables['id']);
      if (String(document).includes('CitedConfirm'))
        return { data: { confirm: confirms.get(id) ?? null } as never, errors: [] };
      if (String(document).includes('plan(')) {
        return { data: { plan: plans.get(`${tenantId}/${id}`) ?? null } as never, errors: [] };
      }
      const owner = contexts.get(`${tenantId}/${id}`);
      if (owner === undefined || (owner !== null && owner !== subject))
        return { data: { context: null } as never, errors: [] };
      const context = {
        id,
        ownerId: owner,
        accessControl: { visibility: owner === null ? 'TENANT' : 'PRIVATE' },
        ...states.get(`${tenantId}/${id}`),
      };
      return { data: { context } as never, errors: [] };
    },
  };
  const subgraph = await traceSubgraph.open({
    config: readConfig({ NODE_ENV: 'test', ...env }),
    sql,
    prisma,
    bus,
    publisher,
    authorizer: createScopeAuthorizer(),
    graph,
    compute,
    logger,
    sqlOf: () => sql,
    codecs: new Map(),
  });
  const started = await subgraph.start();

  return {
    sql,
    publisher,
    databaseUrl: database.url,
    /** What is done once a minute. */
    sweep: () => subgraph.jobs['sweep']!({}, { attempt: 1, jobId: '1', signal: AbortSignal.timeout(60_000) }),
    confirms,
    /** Documents the graph was asked. */
    asked,
    /** What the graph says of a context beside its owner and visibility. */
    setState: (contextId: string, state: object, tenantId = 'one') =>
      void states.set(`${tenantId}/${contextId}`, state),
    openPlan(contextId: string, tenantId = 'one', steps: readonly string[] = []): string {
      const id = newId();
      plans.set(`${tenantId}/${id}`, { context: { id: contextId }, steps: steps.map((step) => ({ id: step })) });
      return id;
    },
    openContext(tenantId = 'one', owner: string | null = null, id = newId()): string {
      contexts.set(`${tenantId}/${id}`, owner);
      return id;
    },
    /** Asks and insists on an answer without errors. */
    async ask(principal: Principal, source: string, variables: Record<string, unknown> = {}): Promise<Json> {
      const scope = createRequestScope({
        principal,
        correlationId: newId(),
        traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
      });
      const result = await graphql({
        schema: subgraph.schema,
        source,
        variableValues: variables,
        contextValue: subgraph.contextFor(scope),
      });
      if (result.errors) throw new Error(result.errors.map(({ message }) => message).join('; '));
      return JSON.parse(JSON.stringify(result.data));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await started.close();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
}

export function principal(subject: string, tenantId = 'one'): Principal {
  return createPrincipal({ tenantId, subject, scopes: ['trace:read', 'trace:write', 'context:read'] });
}
