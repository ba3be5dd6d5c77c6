import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { type Authorizer, createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import type { Graph } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import { contextSubgraph } from '../../subgraphs/context/index.ts';
import { createContextLoaders } from '../../subgraphs/context/loaders.ts';
import { createContextService } from '../../subgraphs/context/service.ts';
import { createTestDatabase } from '../support/database.ts';

export type Json = { readonly [key: string]: Json } & readonly Json[] & string & number & boolean & null;

export interface Answer {
  /** Untyped on purpose: what a test reads is checked by its expectations. */
  readonly data: Json;
  readonly errors: readonly { readonly message: string; readonly code: unknown }[];
  readonly scope: RequestScope;
}

/** The context subgraph over a database of its own, asked as any principal. */
export async function openContextRig(
  environment: Readonly<Record<string, string>> = {},
  authorizer: Authorizer = createScopeAuthorizer(),
  graph: Graph = {
    execute: async () => ({ data: { confirm: null, context: null } as never, errors: [] }),
  },
) {
  const database = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', ...environment });
  const statements: string[] = [];
  const sql = createSql(database.url, { applicationName: 'context-test', max: 6 });
  // Every statement of the hot path goes through `unsafe`: counted here, on the way to the real database.
  const counted = new Proxy(sql, {
    get(target, name, receiver) {
      if (name !== 'unsafe') return Reflect.get(target, name, receiver) as unknown;
      return (...args: Parameters<typeof sql.unsafe>) => {
        statements.push(args[0]);
        return target.unsafe(...args);
      };
    },
  });
  const prisma = createPrisma(database.url, { max: 5, applicationName: 'context-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('context', (batch) => events.push(...batch));
  const compute = createComputePool({ maxThreads: 2, logger: pino({ level: 'silent' }) });
  const runtime: ModuleRuntime = {
    config,
    sql: counted,
    prisma,
    bus,
    publisher: createPublisher(bus, null),
    authorizer,
    graph,
    compute,
    logger: pino({ level: 'silent' }),
    sqlOf: () => counted,
    codecs: new Map(),
  };
  const subgraph = await contextSubgraph.open(runtime);
  const service = createContextService(runtime);

  async function run(
    principal: Principal,
    source: string,
    variables: Readonly<Record<string, unknown>> = {},
  ): Promise<Answer> {
    const scope = createRequestScope({
      principal,
      correlationId: newId(),
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
    const result: ExecutionResult = await graphql({
      schema: subgraph.schema,
      source,
      variableValues: { ...variables },
      contextValue: subgraph.contextFor(scope),
    });
    return {
      // What a client gets: plain JSON.
      data: (result.data === null || result.data === undefined
        ? null
        : JSON.parse(JSON.stringify(result.data))) as Json,
      errors: (result.errors ?? []).map(({ message, extensions }) => ({ message, code: extensions['code'] })),
      scope,
    };
  }

  return {
    sql,
    prisma,
    runtime,
    service,
    subgraph,
    statements,
    events,
    run,
    loadersFor: (scope: RequestScope) => createContextLoaders(service, scope),
    /** Asks and insists on an answer without errors. */
    async ask(principal: Principal, source: string, variables?: Readonly<Record<string, unknown>>): Promise<Json> {
      const { data, errors } = await run(principal, source, variables);
      if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
      return data;
    },
    /** Creates a context and answers its id. */
    async createContext(principal: Principal, input: Readonly<Record<string, unknown>> = {}): Promise<string> {
      const answer = await this.ask(
        principal,
        'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code message } } }',
        {
          input: { title: 'A context', root: { domain: 'tests', environment: 'test' }, ...input },
        },
      );
      const id = answer['createContext']!['context']?.['id'];
      if (typeof id !== 'string') throw new Error(JSON.stringify(answer));
      return id;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await service.drain();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
}

export type ContextRig = Awaited<ReturnType<typeof openContextRig>>;

const everything = ['context:read', 'context:write', 'context:create', 'context:delete', 'context:join'];

/** A member of tenant `one` without administrative rights, unless said otherwise. */
export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  return createPrincipal({ tenantId: 'one', subject, scopes: everything, ...input });
}

export const alice = principal('alice');
export const bob = principal('bob');
export const admin = principal('admin', { scopes: ['*'] });
export const stranger = principal('stranger', { tenantId: 'two', scopes: ['*'] });
