import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import type { RequestContext } from '../../subgraphs/plan/context.ts';
import { planSubgraph } from '../../subgraphs/plan/index.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  find(fn: (item: Json) => boolean): Json;
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

/** The plan subgraph over a database of its own, asked as any principal; contexts are what `contexts` says. */
export async function openPlanRig(env: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'plan-test', max: 8 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'plan-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('plan', (batch) => events.push(...batch));
  /** `tenant/id` -> status, as the graph would tell. */
  const contexts = new Map<string, string>();
  /** Roles as the graph would tell of them, by `tenant/name`; what was asked for stands in `askedRoles`. */
  const graphRoles = new Map<string, { readonly id: string; readonly name: string; readonly status: string }>();
  const askedRoles: unknown[] = [];
  const compute = createComputePool({ maxThreads: 2, logger: pino({ level: 'silent' }) });
  const runtime: ModuleRuntime = {
    config: readConfig({ NODE_ENV: 'test', ...env }),
    sql,
    prisma,
    bus,
    publisher: createPublisher(bus, null),
    authorizer: createScopeAuthorizer(),
    graph: {
      execute: async (document, variables, principal) => {
        if (document.includes('PlanRole')) {
          askedRoles.push(variables['name'] ?? variables['id']);
          const all = [...graphRoles].flatMap(([key, role]) =>
            key === `${principal.tenantId}/${role.name}` ? [role] : [],
          );
          const role = all.find(({ id }) => id === variables['id']) ?? null;
          // The graph finds by text: names that only contain it come too.
          const nodes = all.filter(({ name }) => name.includes(String(variables['name'])));
          return { data: { role, roles: { nodes } } as never, errors: [] };
        }
        const id = String(variables['id']);
        const status = contexts.get(`${principal.tenantId}/${id}`);
        return { data: { context: status === undefined ? null : { id, status } } as never, errors: [] };
      },
    },
    compute,
    logger: pino({ level: 'silent' }),
    sqlOf: () => sql,
    codecs: new Map(),
  };
  const subgraph = await planSubgraph.open(runtime);
  const scopeOf = (principal: Principal) =>
    createRequestScope({
      principal,
      correlationId: newId(),
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
  const { service } = subgraph.contextFor(scopeOf(alice)) as RequestContext;

  const rig = {
    sql,
    service,
    subgraph,
    events,
    contexts,
    graphRoles,
    askedRoles,
    contextId: newId(),
    /** Asks and insists on an answer without GraphQL errors. */
    async ask(principal: Principal, source: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Json> {
      const result: ExecutionResult = await graphql({
        schema: subgraph.schema,
        source,
        variableValues: { ...variables },
        contextValue: subgraph.contextFor(scopeOf(principal)),
      });
      if (result.errors) throw result.errors[0]?.originalError ?? result.errors[0]!;
      return JSON.parse(JSON.stringify(result.data)) as Json;
    },
    /** One field of an operation. */
    async field(
      principal: Principal,
      source: string,
      variables: Readonly<Record<string, unknown>> = {},
    ): Promise<Json> {
      return Object.values(await rig.ask(principal, source, variables))[0] as Json;
    },
    async createPlan(input: Readonly<Record<string, unknown>>): Promise<string> {
      const payload = await rig.field(alice, createPlan, {
        input: { contextId: rig.contextId, title: 'A plan', objective: 'To be done', ...input },
      });
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      return String(payload['plan']!['id']);
    },
    /** Creates, approves and starts a plan; answers both ids. */
    async startPlan(
      input: Readonly<Record<string, unknown>>,
      options: Readonly<Record<string, unknown>> = {},
    ): Promise<{ readonly planId: string; readonly executionId: string }> {
      const planId = await rig.createPlan(input);
      await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
      const payload = await rig.field(alice, executePlan, { input: { planId, ...options } });
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      return { planId, executionId: String(payload['execution']!['id']) };
    },
    claim: (principal: Principal, executionId: string, options: Readonly<Record<string, unknown>> = {}) =>
      rig.field(principal, claimStep, { executionId, ...options }),
    complete: (principal: Principal, lease: Json, result: unknown = null) =>
      rig.field(principal, completeStep, { lease: leaseInput(lease), result }),
    fail: (principal: Principal, lease: Json, error: unknown) =>
      rig.field(principal, failStep, { lease: leaseInput(lease), error }),
    /** Tells an event as its module would. */
    async tell(module: 'context', type: string, data: Readonly<Record<string, unknown>>, streamId: string) {
      await sql.begin((tx) =>
        appendChange(tx, module, [{ tenantId: 'one', actor: 'someone', events: [{ streamId, type, data, tags: [] }] }]),
      );
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await service.plans.drain();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
  contexts.set(`one/${rig.contextId}`, 'ACTIVE');
  return rig;
}

export type PlanRig = Awaited<ReturnType<typeof openPlanRig>>;

export function leaseInput(lease: Json) {
  return { executionId: lease['executionId'], stepId: lease['stepId'], epoch: lease['epoch'] };
}

const errors = 'userErrors { code message path }';
const run = 'id status endedSteps runningSteps totalSteps overallProgress pausedBy';
const lease = 'lease { executionId stepId planId agentId epoch leaseUntil attempt }';
export const createPlan = `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id status version stepCount summary { durationMs criticalPath feasible } } ${errors} } }`;
export const executePlan = `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { ${run} } plan { status } readySteps makespanMs schedule { stepId startMs finishMs } ${errors} } }`;
export const claimStep = `mutation ($executionId: ID!, $agentId: ID, $capabilities: [String!]! = [], $roles: [String!]! = [], $leaseMs: Int, $key: String) { claimStep(executionId: $executionId, agentId: $agentId, capabilities: $capabilities, roles: $roles, leaseMs: $leaseMs, idempotencyKey: $key) { ${lease} execution { ${run} } ${errors} } }`;
export const completeStep = `mutation ($lease: StepLeaseInput!, $result: JSON) { completeStep(lease: $lease, result: $result) { step { stepId status result } execution { ${run} } ${errors} } }`;
export const failStep = `mutation ($lease: StepLeaseInput!, $error: StepErrorInput!) { failStep(lease: $lease, error: $error) { step { stepId status failures retryAt error } execution { ${run} } ${errors} } }`;

export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  const scopes = ['read', 'create', 'update', 'delete', 'execute', 'schedule', 'work', 'collaborate', 'adapt'].map(
    (action) => `plan:${action}`,
  );
  return createPrincipal({ tenantId: 'one', subject, scopes, ...input });
}

export const alice = principal('alice');
export const agents = ['agent-1', 'agent-2', 'agent-3'].map((subject) => principal(subject));
export const stranger = principal('stranger', { tenantId: 'two', scopes: ['*'] });
