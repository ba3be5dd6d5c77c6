import { graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type NewAudit, type NewEvent } from '#shared/outbox.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { createPrisma } from '../../prisma/client.ts';
import type { SubgraphName } from '../../subgraphs/names.ts';
import { platformSubgraph } from '../../subgraphs/platform/index.ts';
import { createTestDatabase } from '../support/database.ts';

/** What a client gets: plain JSON, checked by the expectations. */
// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
export type Json = any;

export interface PlatformRigOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** One more instance over another's database. */
  readonly databaseUrl?: string;
}

/** The platform subgraph over a database of its own; other modules are what the test writes into their tables. */
export async function openPlatformRig({ env = {}, databaseUrl }: PlatformRigOptions = {}) {
  const database = databaseUrl ? { url: databaseUrl, drop: async () => {} } : await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'platform-test', max: 6 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'platform-test-prisma' });
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
  const runtime = {
    config: readConfig({ NODE_ENV: 'test', ...env }),
    sql,
    prisma,
    bus,
    publisher,
    authorizer: createScopeAuthorizer(),
    graph: { execute: async () => ({ data: {} as never, errors: [] }) },
    compute,
    logger,
    sqlOf: () => sql,
    codecs: new Map(),
  };
  const subgraph = await platformSubgraph.open(runtime);
  const started = await subgraph.start();

  async function answer(principal: Principal, source: string, variables: Record<string, unknown> = {}) {
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
    // Errors with a path of their own come as they were thrown.
    const errors = (result.errors ?? []).map(({ message, extensions }) => ({ message, extensions }));
    return JSON.parse(JSON.stringify({ data: result.data ?? null, errors })) as Json;
  }

  return {
    sql,
    runtime,
    databaseUrl: database.url,
    answer,
    /** Asks and insists on an answer without errors. */
    async ask(principal: Principal, source: string, variables: Record<string, unknown> = {}): Promise<Json> {
      const { data, errors } = await answer(principal, source, variables);
      if (errors.length > 0) throw new Error(errors.map(({ message }: Json) => message).join('; '));
      return data;
    },
    /** Runs a job of the module as the worker would. */
    run: (task: string, payload: unknown = {}, attempt = 1) =>
      subgraph.jobs[task]!(payload, { attempt, jobId: '1', signal: AbortSignal.timeout(60_000) }),
    /** Commits what a mutation of a module would leave behind, and tells it. */
    async change(
      module: SubgraphName,
      tenantId: string,
      { events = [], audit = [] }: { events?: readonly NewEvent[]; audit?: readonly NewAudit[] },
    ) {
      const rows = await sql.begin((tx) => appendChange(tx, module, [{ tenantId, actor: 'tester', events, audit }]));
      await publisher.published(rows);
      return rows;
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

export type PlatformRig = Awaited<ReturnType<typeof openPlatformRig>>;

export function principal(subject: string, tenantId: string, scopes: readonly string[] = ['*']): Principal {
  return createPrincipal({ tenantId, subject, scopes, steppedUpUntilMs: Number.MAX_SAFE_INTEGER });
}

/** Asks until the answer pleases. @throws {Error} with the last one when the time is over. */
export async function until<Value>(
  read: () => Promise<Value>,
  pleases: (value: Value) => boolean,
  forMs = 10_000,
): Promise<Value> {
  const deadline = Date.now() + forMs;
  for (;;) {
    const value = await read();
    if (pleases(value)) return value;
    if (Date.now() > deadline) throw new Error(`it never came to that: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
