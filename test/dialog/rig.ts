import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { createSqlEventLog } from '#shared/eventLog.ts';
import type { EphemeralEvent, EventGate, EventRow } from '#shared/events.ts';
import type { Graph } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import { dialogSubgraph } from '../../subgraphs/dialog/index.ts';
import type { DialogService } from '../../subgraphs/dialog/service.ts';
import { dialogSubscriptions } from '../../subgraphs/dialog/subscriptions.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  flatMap<T>(fn: (item: Json, index: number) => T | T[]): T[];
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

export interface Answer {
  /** Untyped on purpose: what a test reads is checked by its expectations. */
  readonly data: Json;
  readonly errors: readonly { readonly message: string; readonly code: unknown }[];
  readonly scope: RequestScope;
}

/** Counts what goes to the database outside transactions: the reads of lists and edges. */
function counting(sql: Sql, statements: string[]): Sql {
  return new Proxy(sql, {
    apply(target, self, args) {
      if (Array.isArray(args[0]) && 'raw' in args[0]) statements.push(args[0].join('?'));
      return Reflect.apply(target, self, args) as unknown;
    },
    get(target, name, receiver) {
      if (name !== 'unsafe') return Reflect.get(target, name, receiver) as unknown;
      return (...args: Parameters<Sql['unsafe']>) => {
        statements.push(args[0]);
        return target.unsafe(...args);
      };
    },
  });
}

/** The dialog subgraph over a database of its own, asked as any principal; contexts are what `contexts` says. */
export async function openDialogRig(environment: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', ...environment });
  const statements: string[] = [];
  const plain = createSql(database.url, { applicationName: 'dialog-test', max: 8 });
  const sql = counting(plain, statements);
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'dialog-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('dialog', (batch) => events.push(...batch));
  /** `tenant/id` -> status, as the graph would tell. */
  const contexts = new Map<string, string>();
  const graph: Graph = {
    execute: async (_document, variables, principal) => {
      const id = String(variables['id']);
      const status = contexts.get(`${principal.tenantId}/${id}`);
      return { data: { context: status === undefined ? null : { id, status } } as never, errors: [] };
    },
  };
  /** Tasks that were done off the event loop. */
  const computed: string[] = [];
  const compute = createComputePool({
    maxThreads: 2,
    logger: pino({ level: 'silent' }),
    observer: {
      finished: ({ lane, name, outcome }) => computed.push(`${lane} ${name} ${outcome}`),
      load: () => {},
      threads: () => {},
    },
  });
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
  const subgraph = await dialogSubgraph.open(runtime);
  const eventLog = createSqlEventLog({ sqlOf: () => plain });
  const traceparent = '00-11111111111111111111111111111111-2222222222222222-01';

  function scopeOf(principal: Principal): RequestScope {
    return createRequestScope({ principal, correlationId: newId(), traceparent });
  }

  async function run(
    principal: Principal,
    source: string,
    variables: Readonly<Record<string, unknown>> = {},
  ): Promise<Answer> {
    const scope = scopeOf(principal);
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

  /** Asks and insists on an answer without errors. */
  async function ask(
    principal: Principal,
    source: string,
    variables?: Readonly<Record<string, unknown>>,
  ): Promise<Json> {
    const { data, errors } = await run(principal, source, variables);
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
    return data;
  }

  /** One mutation by name: its payload, whatever it says. */
  async function mutate(
    principal: Principal,
    field: string,
    args: string,
    variables: Readonly<Record<string, unknown>>,
    selection: string,
  ): Promise<Json> {
    const used = [...args.matchAll(/\$(\w+): ([^,)]+)/g)].map(([, name, type]) => `$${name}: ${type}`).join(', ');
    const passed = [...args.matchAll(/\$(\w+):/g)].map(([, name]) => `${name}: $${name}`).join(', ');
    const data = await ask(
      principal,
      `mutation (${used}) { ${field}(${passed}) { ${selection} userErrors { code message path retryable retryAfterMs } } }`,
      variables,
    );
    return data[field]!;
  }

  function openContext(tenantId = 'one', status = 'ACTIVE'): string {
    const id = newId();
    contexts.set(`${tenantId}/${id}`, status);
    return id;
  }

  return {
    sql: plain,
    statements,
    events,
    computed,
    runtime,
    subgraph,
    contexts,
    run,
    ask,
    mutate,
    openContext,
    scopeOf,
    service: (principal: Principal) => subgraph.contextFor(scopeOf(principal)).service as DialogService,

    /** Creates a dialog and answers it with its participants by subject. */
    async createDialog(
      creator: Principal,
      input: Readonly<Record<string, unknown>> = {},
    ): Promise<{ id: string; contextId: string; participants: Record<string, string> }> {
      const contextId = (input['contextId'] as string | undefined) ?? openContext(creator.tenantId);
      const payload = await mutate(
        creator,
        'createDialog',
        '$input: CreateDialogInput!',
        { input: { name: 'A dialog', ...input, contextId } },
        'dialog { id participants(first: 100) { nodes { id subject } } }',
      );
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      const dialog = payload['dialog']!;
      return {
        id: String(dialog['id']),
        contextId,
        participants: Object.fromEntries(
          dialog['participants']!['nodes']!.map((row) => [String(row['subject']), String(row['id'])]),
        ),
      };
    },

    send: (sender: Principal, dialogId: string, text: string, more: Readonly<Record<string, unknown>> = {}) =>
      mutate(
        sender,
        'sendMessage',
        '$input: SendMessageInput!',
        { input: { dialogId, content: { text }, ...more } },
        'message { id sequence sentAt content { text } senderId role senderType threadId mentions: content { mentions } recipients } deliveryStatus { total delivered pending } duplicate',
      ),

    /** Events of a dialog's stream as they are kept. */
    stream: (streamId: string, tenantId = 'one', afterSequence = 0) =>
      eventLog.read({ module: 'dialog', tenantId, streamId, afterSequence, limit: 10_000 }),

    /** What a subscriber of the field would get from the kept stream after a sequence. */
    async replay(
      principal: Principal,
      field: string,
      args: Readonly<Record<string, unknown>>,
      afterSequence = 0,
    ): Promise<{ gate: EventGate; received: Record<string, unknown>[]; ended: boolean }> {
      const source = dialogSubscriptions[field]!;
      const gate = await source.admit(principal, args, { sql: plain });
      const received: Record<string, unknown>[] = [];
      let ended = false;
      for (const event of await eventLog.read({
        module: 'dialog',
        tenantId: principal.tenantId,
        streamId: source.streamId(args, principal),
        afterSequence,
        limit: 10_000,
      })) {
        const decision = gate.decide(event);
        if (decision === 'end') {
          ended = true;
          break;
        }
        if (decision === 'deliver' && source.types.includes(event.type)) received.push({ ...source.payload(event) });
      }
      return { gate, received, ended };
    },

    /** What the context module would have appended. */
    async contextEvent(
      type: string,
      context: { readonly id: string; readonly status: string },
      tenantId = 'one',
    ): Promise<void> {
      const appended = await plain.begin((tx) =>
        appendChange(tx, 'context', [
          {
            tenantId,
            actor: 'tester',
            events: [{ streamId: context.id, type, data: { context, changes: {} }, tags: [] }],
          },
        ]),
      );
      bus.publish(appended as readonly EventRow[]);
    },

    async [Symbol.asyncDispose](): Promise<void> {
      await (
        subgraph.contextFor(scopeOf(createPrincipal({ tenantId: 'one', subject: 'rig' }))).service as DialogService
      ).drain();
      await compute.close();
      await prisma.$disconnect();
      await plain.end({ timeout: 5 });
      await database.drop();
    },
  };
}

export type DialogRig = Awaited<ReturnType<typeof openDialogRig>>;

const memberScopes = ['dialog:read', 'dialog:write', 'dialog:create', 'context:read'];

/** A member of tenant `one` without administrative rights, unless said otherwise. */
export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  return createPrincipal({ tenantId: 'one', subject, scopes: memberScopes, ...input });
}

export function codesOf(payload: Json): readonly string[] {
  return payload['userErrors']!.map((error) => String(error['code']));
}
