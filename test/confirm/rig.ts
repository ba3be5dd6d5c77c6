import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { createSqlEventLog } from '#shared/eventLog.ts';
import { type EphemeralEvent, type EventRow, matchesType } from '#shared/events.ts';
import type { Graph } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { defineSubgraph, type ModuleRuntime } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import type { ApproverDirectory, Holder, Standing } from '../../subgraphs/confirm/directory.ts';
import { createConfirmLoaders } from '../../subgraphs/confirm/loaders.ts';
import { confirmLocators } from '../../subgraphs/confirm/locators.ts';
import { resolvers } from '../../subgraphs/confirm/resolvers.ts';
import { type ConfirmService, createConfirmService } from '../../subgraphs/confirm/service.ts';
import { confirmSubscriptions } from '../../subgraphs/confirm/subscriptions.ts';
import type { SubgraphName } from '../../subgraphs/names.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  filter(fn: (item: Json) => boolean): Json[];
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

/** The confirm subgraph over a database of its own. Contexts are what `contexts` says, roles what `roles` does. */
export async function openConfirmRig(environment: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', ...environment });
  const sql = createSql(database.url, { applicationName: 'confirm-test', max: 12 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'confirm-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('confirm', (batch) => events.push(...batch));
  /** Confirms that overrides cite, as the graph tells them. */
  const cited = new Map<string, { readonly status: string; readonly targetType: string; readonly targetId: string }>();
  /** Who wrote a target, by its id. */
  const authors = new Map<string, string>();
  /** What plans cost, by id. */
  const costs = new Map<string, number>();
  /** `tenant/id` of what exists. */
  const targets = new Set<string>();
  const graph: Graph = {
    execute: async (document, variables, principal) => {
      const id = String(variables['id']);
      if (document.includes('CitedConfirm')) return { data: { confirm: cited.get(id) ?? null } as never, errors: [] };
      const target = targets.has(`${principal.tenantId}/${id}`)
        ? { id, createdBy: authors.get(id) ?? null, summary: { cost: costs.get(id) ?? 0 } }
        : null;
      return { data: { target } as never, errors: [] };
    },
  };
  /** Role -> holders; null: nobody keeps roles. */
  const roles: { current: Map<string, readonly (string | Holder)[]> | null } = { current: new Map() };
  /** What roles grant and deny, by permission: subjects. Of whom nothing stands here nobody knows. */
  const rights = {
    granted: new Map<string, readonly string[]>([['plan:approve', ['bob']]]),
    denied: new Map<string, readonly string[]>(),
  };
  const standing = (permission: string, subject: string): Standing => {
    if (rights.denied.get(permission)?.includes(subject)) return 'denied';
    return rights.granted.get(permission)?.includes(subject) ? 'granted' : 'unknown';
  };
  const directory: ApproverDirectory = {
    permitted: async (_tenantId, { permission }) =>
      (rights.granted.get(permission) ?? [])
        .filter((id) => standing(permission, id) === 'granted')
        .map((id) => ({ id })),
    standings: async (_tenantId, { permission }, subjects) =>
      new Map(subjects.map((subject) => [subject, standing(permission, subject)])),
    holders: async (_tenantId, role) =>
      roles.current === null
        ? null
        : (roles.current.get(role) ?? []).map((holder) => (typeof holder === 'string' ? { id: holder } : holder)),
  };
  const compute = createComputePool({ maxThreads: 1, logger: pino({ level: 'silent' }) });
  const runtime: ModuleRuntime = {
    config,
    sql,
    prisma,
    bus,
    publisher: createPublisher(bus, null),
    authorizer: createScopeAuthorizer(),
    graph,
    compute,
    logger: pino({ level: 'silent' }),
    sqlOf: () => sql,
    codecs: new Map(),
  };
  const services: ConfirmService[] = [];
  const definition = defineSubgraph({
    name: 'confirm',
    textIds: ['Subject'],
    locators: confirmLocators,
    resolvers,
    createService: (given) => {
      const service = createConfirmService(given, { directory });
      services.push(service);
      return service;
    },
    createLoaders: createConfirmLoaders,
  });
  const subgraph = await definition.open(runtime);
  const service = services[0]!;
  const eventLog = createSqlEventLog({ sqlOf: () => sql });

  function scopeOf(principal: Principal): RequestScope {
    return createRequestScope({
      principal,
      correlationId: newId(),
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
  }

  async function run(principal: Principal, source: string, variables: Readonly<Record<string, unknown>> = {}) {
    const scope = scopeOf(principal);
    const result: ExecutionResult = await graphql({
      schema: subgraph.schema,
      source,
      variableValues: { ...variables },
      contextValue: subgraph.contextFor(scope),
    });
    return {
      // What a client gets: plain JSON.
      data: (result.data == null ? null : JSON.parse(JSON.stringify(result.data))) as Json,
      errors: (result.errors ?? []).map(({ message, extensions }) => ({ message, code: extensions['code'] })),
      scope,
    };
  }

  /** Asks and insists on an answer without errors. */
  async function ask(principal: Principal, source: string, variables?: Readonly<Record<string, unknown>>) {
    const { data, errors } = await run(principal, source, variables);
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
    return data;
  }

  function openTarget(tenantId = 'one'): string {
    const id = newId();
    targets.add(`${tenantId}/${id}`);
    return id;
  }

  const selection =
    'confirm { id status phase version resolution reason nextDeadlineAt steps { id status level dueAt reason } approvers { subject stepId state level delegatedFrom } decisions { id sequence approver outcome rationale hash } } nextApprovers { subject stepId } decisions { outcome } userErrors { code path message }';

  /** One mutation with an input: its payload, whatever it says. */
  async function mutate(principal: Principal, field: string, type: string, input: object): Promise<Json> {
    const data = await ask(principal, `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} } }`, {
      input,
    });
    return data[field]!;
  }

  const create = (principal: Principal, input: Readonly<Record<string, unknown>> = {}) =>
    mutate(principal, 'createApproval', 'CreateApprovalInput', {
      targetType: 'CONTEXT',
      targetId: input['targetId'] ?? openTarget(principal.tenantId),
      confirmationType: 'RISK_ACCEPTANCE',
      title: 'May we?',
      ...(input['workflow'] || input['templateId'] ? {} : { approvers: [{ subject: 'bob' }] }),
      ...input,
    });

  return {
    sql,
    events,
    runtime,
    service,
    subgraph,
    cited,
    targets,
    roles,
    rights,
    directory,
    authors,
    costs,
    run,
    ask,
    mutate,
    create,
    openTarget,
    scopeOf,
    selection,

    /** Creates a confirm and insists on it. */
    async open(principal: Principal, input: Readonly<Record<string, unknown>> = {}): Promise<string> {
      const payload = await create(principal, input);
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      return String(payload['confirm']!['id']);
    },

    decide: (principal: Principal, confirmId: string, decision: string, more: object = {}) =>
      mutate(principal, 'processApproval', 'ApprovalDecisionInput', {
        confirmId,
        decision,
        ...(decision === 'REJECTED' ? { rationale: 'no' } : {}),
        ...more,
      }),

    /** Everything stored of a confirm. */
    async stored(confirmId: string): Promise<string> {
      const [row] = await sql`
        SELECT to_jsonb(c) AS confirm, (SELECT json_agg(a ORDER BY a.step_id, a.subject) FROM confirm.approver a WHERE a.confirm_id = c.id) AS approvers,
          (SELECT json_agg(d ORDER BY d.sequence) FROM confirm.decision d WHERE d.confirm_id = c.id) AS decisions,
          (SELECT json_agg(e.event_id ORDER BY e.sequence) FROM confirm.event e WHERE e.stream_id = c.id) AS events
        FROM confirm.confirm c WHERE c.id = ${confirmId}`;
      return JSON.stringify(row);
    },

    stream: (streamId: string, tenantId = 'one') =>
      eventLog.read({ module: 'confirm', tenantId, streamId, afterSequence: 0, limit: 10_000 }),

    /** What a subscriber would get from the kept stream. */
    async replay(principal: Principal, field: string, args: Readonly<Record<string, unknown>>, afterSequence = 0) {
      const source = confirmSubscriptions[field]!;
      await source.admit(principal, args, { sql });
      const streamId = source.streamId(args, principal);
      const kept = await eventLog.read({
        module: 'confirm',
        tenantId: principal.tenantId,
        streamId,
        afterSequence,
        limit: 10_000,
      });
      return kept.filter(({ type }) => matchesType(source.types, type)).map((event) => source.payload(event) as Json);
    },

    /** What another module would have appended. */
    async tell(module: SubgraphName, type: string, data: Readonly<Record<string, unknown>>, actor = 'alice') {
      const appended = await sql.begin((tx) =>
        appendChange(tx, module, [{ tenantId: 'one', actor, events: [{ streamId: newId(), type, data, tags: [] }] }]),
      );
      bus.publish(appended as readonly EventRow[]);
      return (appended as readonly EventRow[])[0]!;
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

export type ConfirmRig = Awaited<ReturnType<typeof openConfirmRig>>;

const memberScopes = [
  ...['confirm:read', 'confirm:create', 'confirm:approve'],
  ...['context:read', 'plan:read', 'plan:update'],
];

/** A member of tenant `one` without administrative rights, unless said otherwise. */
export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  return createPrincipal({ tenantId: 'one', subject, roles: ['member'], scopes: memberScopes, ...input });
}

export const alice = principal('alice');
export const bob = principal('bob');
export const carol = principal('carol');
export const dave = principal('dave');
export const admin = principal('root', { scopes: ['*'], roles: ['admin'] });

export function codesOf(payload: Json): readonly string[] {
  return payload['userErrors']!.map((error) => String(error['code']));
}
