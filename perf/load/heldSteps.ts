import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { createCoreService } from '../../subgraphs/core/service.ts';

/** What a process that is going to be killed holds. */
export interface HeldSteps {
  readonly databaseUrl: string;
  readonly tenantId: string;
  readonly contextId: string;
  readonly count: number;
  readonly leaseMs: number;
}

/** A worker whose calls never come back: it tells that it holds its steps, and waits to be killed. */
process.once('message', async (given: HeldSteps) => {
  const sql = createSql(given.databaseUrl, { applicationName: 'held-steps', max: 5 });
  const bus = createLocalBus((error) => {
    throw error;
  });
  let called = 0;
  const held = Promise.withResolvers<void>();
  const config = readConfig({
    ...{ NODE_ENV: 'test', CORE_WORKER_SLOTS: String(given.count), CORE_LEASE_MS: String(given.leaseMs) },
  });
  const service = createCoreService({
    ...{ config, sql, bus, publisher: createPublisher(bus, null), authorizer: createScopeAuthorizer() },
    graph: {
      execute() {
        called += 1;
        if (called === given.count) held.resolve();
        return new Promise(() => {});
      },
    },
    ...{ logger: pino({ level: 'warn' }), sqlOf: () => sql, codecs: new Map() },
  } as never);
  const scope = () =>
    createRequestScope({
      principal: createPrincipal({ tenantId: given.tenantId, subject: 'agent-0', roles: ['admin'], scopes: ['*'] }),
      correlationId: crypto.randomUUID(),
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
  const workflowId = await service.workflows.create(scope(), {
    name: 'held',
    definition: {
      steps: [{ stepId: 'held', module: 'context', action: 'context', input: { contextId: given.contextId } }],
    },
  });
  // It takes only what it starts itself: the other steps are those of the process that takes over.
  service.worker.start(
    { ...service.transitions, claim: async () => 0 } as typeof service.transitions,
    async () => null,
  );
  await Promise.all(Array.from({ length: given.count }, () => service.executions.start(scope(), { workflowId })));
  await held.promise;
  process.send!({ workflowId });
});
