import { graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { openLogs } from '#shared/logs/openLogs.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createPrisma } from '../../prisma/client.ts';
import { platformSubgraph } from '../../subgraphs/platform/index.ts';
import { createTestDatabase } from '../support/database.ts';

/** What a client gets: plain JSON, checked by the expectations. */
// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
export type Json = any;

/** Tenant of what the processes tell of themselves. */
export const operators = 'operators';

/** The platform subgraph over a database of its own. */
export async function openPlatformRig(env: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'platform-test', max: 6 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'platform-test-prisma' });
  const bus = createLocalBus((error) => {
    throw error;
  });
  const events: (EventRow | EphemeralEvent)[] = [];
  bus.subscribe('platform', (messages) => void events.push(...messages));
  const publisher = createPublisher(bus, null);
  const silent = pino({ level: 'silent' });
  const compute = createComputePool({
    maxThreads: 1,
    logger: silent,
    observer: { finished: () => {}, load: () => {}, threads: () => {} },
  });
  const config = readConfig({ NODE_ENV: 'test', OPERATOR_TENANT: operators, ...env });
  const buffer = createLogBuffer();
  const logger = createLogger('warn', buffer);
  const logs = openLogs({ buffer, sql, bus, config, logger });
  const subgraph = await platformSubgraph.open({
    config,
    sql,
    prisma,
    bus,
    publisher,
    authorizer: createScopeAuthorizer(),
    graph: { execute: async () => ({ data: null as never, errors: [] }) },
    compute,
    logger: silent,
    logs,
    sqlOf: () => sql,
    codecs: new Map(),
  });
  const started = await subgraph.start();

  return {
    sql,
    bus,
    publisher,
    logs,
    /** Writes lines as a process would. */
    logger,
    databaseUrl: database.url,
    /** Everything the module has told. */
    events,
    job: (name: string, payload: unknown = {}) =>
      subgraph.jobs[name]!(payload, { attempt: 1, jobId: '1', signal: AbortSignal.timeout(60_000) }),
    /** Asks and insists on an answer without errors; answers the only field. */
    async ask(principal: Principal, source: string, variables: Record<string, unknown> = {}): Promise<Json> {
      const scope = createRequestScope({
        principal,
        correlationId: 'asked',
        traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
      });
      const result = await graphql({
        schema: subgraph.schema,
        source,
        variableValues: variables,
        contextValue: subgraph.contextFor(scope),
      });
      if (result.errors) throw new Error(result.errors.map(({ message }) => message).join('; '));
      return Object.values(JSON.parse(JSON.stringify(result.data)) as object)[0];
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await started.close();
      await logs.close();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
}

export type PlatformRig = Awaited<ReturnType<typeof openPlatformRig>>;

/** Somebody with all rights of a tenant, by default one that nobody else is of. */
export function somebody(tenantId: string = newId(), scopes: readonly string[] = ['*']): Principal {
  return createPrincipal({ tenantId, subject: 'alice', scopes });
}
