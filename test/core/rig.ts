import { type ExecutionResult, graphql, Kind, parse } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import type { GraphResult } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import type { RequestContext } from '../../subgraphs/core/context.ts';
import { coreSubgraph } from '../../subgraphs/core/index.ts';
import { type CoreServiceOptions, createCoreService } from '../../subgraphs/core/service.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  find(fn: (item: Json) => boolean): Json;
  filter(fn: (item: Json) => boolean): Json[];
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

/** A call that reached the graph. */
export interface GraphCall {
  readonly field: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly principal: Principal;
  readonly signal: AbortSignal | undefined;
  readonly traceparent: string | undefined;
}

export type GraphAnswer = unknown | ((call: GraphCall) => unknown);

export interface CoreRigOptions extends CoreServiceOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Workers look for work by themselves. @default true */
  readonly works?: boolean;
}

/** The core subgraph over a database of its own; other modules answer what `answers` says, by operation. */
export async function openCoreRig({ env = {}, works = true, ...given }: CoreRigOptions = {}) {
  // What one test lets fail does not keep the next from calling.
  const options: CoreServiceOptions = { circuits: { maxFailures: 1_000 }, ...given };
  const database = await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'core-test', max: 10 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'core-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('core', (batch) => events.push(...batch));
  const calls: GraphCall[] = [];
  const answers = new Map<string, GraphAnswer>();
  /** `tenant/id` -> status, as the graph would tell. */
  const contexts = new Map<string, string>();
  const compute = createComputePool({ maxThreads: 2, logger: pino({ level: 'silent' }) });
  const logger = pino({ level: 'silent' });
  const runtime: ModuleRuntime = {
    config: readConfig({ NODE_ENV: 'test', CORE_POLL_MS: '50', ...env }),
    sql,
    prisma,
    bus,
    publisher: createPublisher(bus, null),
    authorizer: createScopeAuthorizer(),
    graph: {
      async execute<Data>(
        document: string,
        variables: Readonly<Record<string, unknown>>,
        principal: Principal,
        signal?: AbortSignal,
        traceparent?: string,
      ) {
        if (document.includes('query CoreContext')) {
          const id = String(variables['id']);
          const status = contexts.get(`${principal.tenantId}/${id}`);
          return { data: { context: status === undefined ? null : { id, status } } as Data, errors: [] };
        }
        const field = fieldOf(document);
        const call = { field, variables, principal, signal, traceparent };
        calls.push(call);
        const answer = answers.get(field);
        const value = typeof answer === 'function' ? await (answer as (call: GraphCall) => unknown)(call) : answer;
        if (isGraphResult(value)) return value as GraphResult<Data>;
        return { data: { [field]: value ?? null } as Data, errors: [] };
      },
    },
    compute,
    logger,
    sqlOf: () => sql,
    codecs: new Map(),
  };
  const services: ReturnType<typeof createCoreService>[] = [];
  const subgraph = await coreSubgraph.open(runtime);
  const scopeOf = (principal: Principal) =>
    createRequestScope({
      principal,
      correlationId: newId(),
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
  const own = createCoreService(runtime, options);
  services.push(own);
  const started = works ? [await own.start()] : [];

  const rig = {
    sql,
    runtime,
    service: own,
    events,
    calls,
    answers,
    contexts,
    contextId: newId(),
    databaseUrl: database.url,
    /** Asks and insists on an answer without GraphQL errors. */
    async ask(principal: Principal, source: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Json> {
      const context = subgraph.contextFor(scopeOf(principal)) as RequestContext;
      const result: ExecutionResult = await graphql({
        schema: subgraph.schema,
        source,
        variableValues: { ...variables },
        contextValue: { ...context, service: own },
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
    async createWorkflow(definition: unknown, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
      const payload = await rig.field(alice, createWorkflow, { input: { name: 'a workflow', definition, ...more } });
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      return String(payload['workflow']!['id']);
    },
    /** Stores and starts a workflow; answers the execution's id. */
    async start(definition: unknown, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
      const payload = await rig.field(alice, executeWorkflow, { input: { definition, ...more } });
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      return String(payload['execution']!['id']);
    },
    execution: (id: string) => rig.field(alice, workflowExecution, { id }),
    /** The execution once it has one of these statuses. */
    async until(id: string, ...statuses: readonly string[]): Promise<Json> {
      return rig.untilTrue(id, (execution) => statuses.includes(String(execution['status'])));
    },
    async untilTrue(id: string, holds: (execution: Json) => boolean, ms = 20_000): Promise<Json> {
      for (const until = Date.now() + ms; ; ) {
        const execution = await rig.execution(id);
        if (holds(execution)) return execution;
        if (Date.now() > until) throw new Error(`it did not come to that: ${JSON.stringify(execution)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    /** Another process over the same database, as far as executions are concerned. */
    async join(more: CoreServiceOptions = {}) {
      const service = createCoreService(runtime, { ...options, ...more });
      services.push(service);
      started.push(await service.start());
      return service;
    },
    /** Ends all workers that have joined. */
    async dismiss(): Promise<void> {
      for (const service of services.slice(1)) {
        service.worker.abandon();
        await service.worker.close(0);
      }
    },
    /** Tells an event as its module would. */
    async tell(
      module: 'context' | 'confirm' | 'plan',
      type: string,
      data: Readonly<Record<string, unknown>>,
      streamId: string,
      { tenantId = 'one', traceparent }: { readonly tenantId?: string; readonly traceparent?: string | undefined } = {},
    ) {
      const events = [{ streamId, type, data, tags: [] }];
      await sql.begin((tx) => appendChange(tx, module, [{ tenantId, actor: 'someone', traceparent, events }]));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all(started.map((module) => module.close()));
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
  contexts.set(`one/${rig.contextId}`, 'ACTIVE');
  return rig;
}

export type CoreRig = Awaited<ReturnType<typeof openCoreRig>>;

function fieldOf(document: string): string {
  const [operation] = parse(document).definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) return '';
  const [selection] = operation.selectionSet.selections;
  return selection?.kind === Kind.FIELD ? selection.name.value : '';
}

function isGraphResult(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'errors' in value && 'data' in value;
}

/** A failure as a mutation's payload has it. */
export const refusal = (code: string, more: object = {}) => ({
  userErrors: [{ code, message: `refused: ${code}`, path: null, retryable: false, retryAfterMs: null, ...more }],
});

export const errors = 'userErrors { code message path }';
const step = 'stepId status attempt failures iteration output waitsFor error { code message }';
export const createWorkflow = `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id name status latestVersion version latest { version definition plan { totalSteps parallelSteps levels criticalPath } } } ${errors} } }`;
export const executeWorkflow = `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id status output workflowVersion } ${errors} } }`;
export const workflowExecution = `query ($id: ID!) { workflowExecution(executionId: $id) { id status ending output statusReason workflowVersion totalSteps endedSteps completion retryCount error { code message } steps { ${step} } history(first: 100) { nodes { sequence type stepId attempt data } } children { nodes { id status parentStepId } } } }`;
export const command = (name: string, args = '') =>
  `mutation ($id: ID!${args && `, ${args}`}) { ${name}(executionId: $id${args && `, ${args.replaceAll(/\$(\w+): [^,]+/g, '$1: $$$1')}`}) { execution { id status } ${errors} } }`;

export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  const scopes = [
    'workflow:read',
    'workflow:create',
    'workflow:execute',
    'workflow:manage',
    'allocation:*',
    'system:*',
  ];
  return createPrincipal({ tenantId: 'one', subject, scopes, ...input });
}

export const alice = principal('alice');
export const stranger = principal('stranger', { tenantId: 'two', scopes: ['*'] });

/** A placeholder of a template. */
export const ref = (path: string): string => `\${${path}}`;

/** A step that makes a context; `answers.set('createContext', ...)` says what comes of it. */
export const task = (stepId: string, more: Readonly<Record<string, unknown>> = {}) => ({
  stepId,
  module: 'context',
  action: 'createContext',
  input: { input: { title: stepId, root: { domain: 'd', environment: 'e' } } },
  ...more,
});
export const undo = { module: 'context', action: 'deleteContext', input: { contextId: ref('self.output.context.id') } };
/** What a module answers that made a context. */
export const made = (id: string) => ({ context: { id, status: 'ACTIVE' }, userErrors: [] });
export const stepOf = (execution: Json, stepId: string): Json =>
  execution['steps']!.find((one) => String(one['stepId']) === stepId);
export const typesOf = (execution: Json): string[] =>
  execution['history']!['nodes']!.map(({ type, stepId }) => (stepId ? `${type} ${stepId}` : String(type)));
