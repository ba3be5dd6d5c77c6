import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { createSqlEventLog } from '#shared/eventLog.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import type { Graph } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import { createRoleAuthorizer, readRoleLimits, roleSubgraph } from '../../subgraphs/role/index.ts';
import type { RoleService } from '../../subgraphs/role/service.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  find(fn: (item: Json) => boolean): Json | undefined;
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

export interface Answer {
  readonly data: Json;
  readonly errors: readonly { readonly message: string; readonly code: unknown }[];
}

const errorFields = 'userErrors { code message path }';
const silent = pino({ level: 'silent' });

/** The role subgraph over a database of its own, asked as any principal; contexts are what `contexts` says. */
export async function openRoleRig(environment: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', ...environment });
  const sql = createSql(database.url, { applicationName: 'role-test', max: 6 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'role-test-prisma' });
  const bus = createLocalBus((error) => {
    throw error;
  });
  const events: (EventRow | EphemeralEvent)[] = [];
  bus.subscribe('role', (batch) => events.push(...batch));
  /** `tenant/id` of those that exist. */
  const contexts = new Set<string>();
  /** By id, as the graph tells them. */
  const confirms = new Map<
    string,
    { readonly status: string; readonly targetType: string; readonly targetId: string }
  >();
  const graph: Graph = {
    execute: async (document, variables, principal) => {
      const id = String(variables['id']);
      if (document.includes('CitedConfirm'))
        return { data: { confirm: confirms.get(id) ?? null } as never, errors: [] };
      const isKnown = contexts.has(`${principal.tenantId}/${id}`);
      return { data: { context: isKnown ? { id, status: 'ACTIVE' } : null } as never, errors: [] };
    },
  };
  const compute = createComputePool({ maxThreads: 1, logger: silent, observer: undefined });
  const publisher = createPublisher(bus, null);
  const authorizer = createRoleAuthorizer({ sql, bus, logger: silent, publisher, ...readRoleLimits(config) });
  const runtime: ModuleRuntime = {
    config,
    sql,
    prisma,
    bus,
    publisher,
    authorizer,
    graph,
    compute,
    logger: silent,
    sqlOf: () => sql,
    codecs: new Map(),
  };
  const subgraph = await roleSubgraph.open(runtime);
  const eventLog = createSqlEventLog({ sqlOf: () => sql });
  const traceparent = '00-11111111111111111111111111111111-2222222222222222-01';

  const scopeOf = (principal: Principal): RequestScope =>
    createRequestScope({ principal, correlationId: newId(), traceparent });

  async function run(
    principal: Principal,
    source: string,
    variables: Readonly<Record<string, unknown>> = {},
  ): Promise<Answer> {
    const result: ExecutionResult = await graphql({
      schema: subgraph.schema,
      source,
      variableValues: { ...variables },
      contextValue: subgraph.contextFor(scopeOf(principal)),
    });
    return {
      data: (result.data == null ? null : JSON.parse(JSON.stringify(result.data))) as Json,
      errors: (result.errors ?? []).map(({ message, extensions }) => ({ message, code: extensions['code'] })),
    };
  }

  /** Asks and insists on an answer without errors. */
  async function ask(principal: Principal, source: string, variables?: Readonly<Record<string, unknown>>) {
    const { data, errors } = await run(principal, source, variables);
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
    return data;
  }

  /** One mutation by name: its payload, whatever it says. */
  async function mutate(
    principal: Principal,
    field: string,
    args: string,
    { variables, selection }: { variables: Readonly<Record<string, unknown>>; selection: string },
  ): Promise<Json> {
    const passed = [...args.matchAll(/\$(\w+):/g)].map(([, name]) => `${name}: $${name}`).join(', ');
    const data = await ask(
      principal,
      `mutation (${args}) { ${field}(${passed}) { ${selection} ${errorFields} } }`,
      variables,
    );
    return data[field]!;
  }

  const createRole = (principal: Principal, input: Readonly<Record<string, unknown>>) =>
    mutate(principal, 'createRole', '$input: CreateRoleInput!', {
      variables: { input },
      selection: 'role { id name version status capabilities } warnings',
    });
  const assign = (principal: Principal, input: Readonly<Record<string, unknown>>) =>
    mutate(principal, 'assignRole', '$input: AssignRoleInput!', {
      variables: { input },
      selection: 'assignment { id status version expiresAt approval { required status confirmId } } existed warnings',
    });

  return {
    sql,
    bus,
    events,
    runtime,
    authorizer,
    confirms,
    subgraph,
    run,
    ask,
    mutate,
    createRole,
    assign,
    service: subgraph.contextFor(scopeOf(createPrincipal({ tenantId: 'one', subject: 'rig' }))).service as RoleService,

    openContext(tenantId = 'one'): string {
      const id = newId();
      contexts.add(`${tenantId}/${id}`);
      return id;
    },

    /** A role that must be created; its id. */
    async role(input: Readonly<Record<string, unknown>>, by: Principal = admin): Promise<string> {
      const payload = await createRole(by, input);
      if (payload['role'] === null || payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload));
      return String(payload['role']!['id']);
    },

    /** An assignment that must be made; its id. */
    async hold(subjectId: string, roleId: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
      const payload = await assign(admin, { subjectId, roleId, ...more });
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload));
      return String(payload['assignment']!['id']);
    },

    async check(principal: Principal, input: Readonly<Record<string, unknown>>): Promise<Json> {
      const data = await ask(
        principal,
        `query ($input: CheckPermissionInput!) { checkPermission(input: $input) {
          granted decision reason grantedByToken failingConditions overallAccess recommendations
          source { permissionId effect grantingRoleId heldRoleId path delegationIds } nearest { grantingRoleId failing reason }
          obligations { type approvals approverRoles } } }`,
        { input },
      );
      return data['checkPermission']!;
    },

    stream: (streamId: string, tenantId = 'one') =>
      eventLog.read({ module: 'role', tenantId, streamId, afterSequence: 0, limit: 10_000 }),

    async [Symbol.asyncDispose](): Promise<void> {
      await authorizer.close();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
}

export type RoleRig = Awaited<ReturnType<typeof openRoleRig>>;

/** Of tenant `one`, unless said otherwise. */
export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  return createPrincipal({ tenantId: 'one', subject, scopes: ['role:read', 'role:delegate'], ...input });
}

export const admin = principal('admin', { scopes: ['*'] });

export function codesOf(payload: Json): readonly string[] {
  return payload['userErrors']!.map((error) => String(error['code']));
}

export const allow = (resourceType: string, ...actions: string[]) => ({ resourceType, actions });
export const deny = (resourceType: string, ...actions: string[]) => ({ resourceType, actions, effect: 'DENY' });
