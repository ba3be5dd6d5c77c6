import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
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
import { createCollabLoaders } from '../../subgraphs/collab/loaders.ts';
import { collabLocators } from '../../subgraphs/collab/locators.ts';
import type { RecommendationWriter } from '../../subgraphs/collab/recommend/wording.ts';
import { resolvers } from '../../subgraphs/collab/resolvers.ts';
import { type CollabService, createCollabService } from '../../subgraphs/collab/service.ts';
import { collabSubscriptions } from '../../subgraphs/collab/subscriptions.ts';
import type { SubgraphName } from '../../subgraphs/names.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  filter(fn: (item: Json) => boolean): Json[];
  find(fn: (item: Json) => boolean): Json | undefined;
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

/** What the rest of the graph says: by a word of the operation's text. */
type Answers = Map<string, (variables: Readonly<Record<string, unknown>>, principal: Principal) => unknown>;

/** The collab subgraph over a database of its own; contexts are what `contexts` says. */
export async function openCollabRig({ env }: { readonly env?: Readonly<Record<string, string>> } = {}) {
  const database = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', ...env });
  const sql = createSql(database.url, { applicationName: 'collab-test', max: 10 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'collab-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('collab', (batch) => events.push(...batch));
  /** `tenant/id` -> what the context module would answer. */
  const contexts = new Map<string, { status: string; ownerId: string; visibility: string }>();
  const roles = new Set<string>();
  const answers: Answers = new Map();
  const graph: Graph = {
    async execute(document, variables, principal) {
      const id = String(variables['id']);
      for (const [word, answer] of answers) if (document.includes(word)) return answer(variables, principal) as never;
      if (document.includes('CollabContext')) {
        const found = contexts.get(`${principal.tenantId}/${id}`);
        const isHidden = found?.visibility === 'PRIVATE' && found.ownerId !== principal.subject;
        return {
          data: {
            context:
              found === undefined || isHidden
                ? null
                : { id, status: found.status, ownerId: found.ownerId, accessControl: { visibility: found.visibility } },
          } as never,
          errors: [],
        };
      }
      if (document.includes('CollabRole'))
        return { data: { role: roles.has(id) ? { id, name: 'role', status: 'ACTIVE' } : null } as never, errors: [] };
      return {
        data: null,
        errors: [{ message: 'Cannot query field', code: 'GRAPHQL_VALIDATION_FAILED' }],
      };
    },
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
  const services: CollabService[] = [];
  const writer: { current: RecommendationWriter | null } = { current: null };
  const subgraph = await defineSubgraph({
    name: 'collab',
    locators: collabLocators,
    resolvers,
    createService: (given) => {
      const service = createCollabService(
        given,
        env === undefined ? { writer: { write: (one) => writer.current?.write(one) ?? '' } } : {},
      );
      services.push(service);
      return service;
    },
    createLoaders: createCollabLoaders,
  }).open(runtime);
  const service = services[0]!;
  const eventLog = createSqlEventLog({ sqlOf: () => sql });

  async function run(principal: Principal, source: string, variables: Readonly<Record<string, unknown>> = {}) {
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

  const inputTypeOf = (field: string) =>
    String(
      subgraph.schema
        .getMutationType()!
        .getFields()
        [field]!.args.find(({ name }) => name === 'input')!.type,
    );

  /** What a mutation answers; rights that are lacking, which are errors of the operation, among its own. */
  async function payloadOf(
    who: Principal,
    field: string,
    source: string,
    variables: Readonly<Record<string, unknown>>,
  ) {
    const { data, errors } = await run(who, source, variables);
    return errors.length === 0 ? data[field]! : ({ userErrors: errors } as unknown as Json);
  }

  /** One mutation with an input: its payload, whatever it says. */
  const mutate = (who: Principal, field: string, input: object, selection = ''): Promise<Json> =>
    payloadOf(
      who,
      field,
      `mutation ($input: ${inputTypeOf(field)}) { ${field}(input: $input) { ${selection} userErrors { code path message } } }`,
      { input },
    );

  /** The same, and insists that it worked. */
  async function act(principal: Principal, field: string, input: object, selection = ''): Promise<Json> {
    const payload = await mutate(principal, field, input, selection);
    if (payload['userErrors']!.length > 0) throw new Error(`${field}: ${JSON.stringify(payload['userErrors'])}`);
    return payload;
  }

  const move = (who: Principal, field: string, collabId: string, options = ''): Promise<Json> =>
    payloadOf(
      who,
      field,
      `mutation ($id: ID!) { ${field}(collabId: $id${options}) { collaboration { status statusReason version } userErrors { code message } } }`,
      { id: collabId },
    );

  function openContext(tenantId = 'one', more: Partial<{ status: string; ownerId: string; visibility: string }> = {}) {
    const id = newId();
    contexts.set(`${tenantId}/${id}`, { status: 'ACTIVE', ownerId: 'ann', visibility: 'PUBLIC', ...more });
    return id;
  }

  return {
    sql,
    events,
    runtime,
    service,
    subgraph,
    contexts,
    roles,
    answers,
    writer,
    run,
    ask,
    mutate,
    act,
    move,
    openContext,

    /** A session of these participants that runs, made by ann: the first one is she herself. */
    async session(mode: string, others: readonly (string | object)[], more: Readonly<Record<string, unknown>> = {}) {
      const participant = (given: string | object) => ({
        participantId: typeof given === 'string' ? given : '',
        kind: 'AGENT',
        roleId: 'worker',
        ...(typeof given === 'string' ? {} : given),
      });
      const payload = await act(
        ann,
        'createCollaboration',
        {
          contextId: more['contextId'] ?? openContext(),
          title: 'Together',
          purpose: 'get it done',
          mode,
          participants: ['ann', ...others].map(participant),
          activate: true,
          ...more,
        },
        'collaboration { id }',
      );
      return String(payload['collaboration']!['id']);
    },

    /** Lets the time of whatever is under way be over, but not of the session itself, and has it looked at. */
    async elapse(collabId: string): Promise<void> {
      const past = new Date(Date.now() - 1_000).toISOString();
      await sql.unsafe(
        `UPDATE collab.collaboration SET next_deadline_at = $2::text::timestamptz,
           deadlines = (SELECT coalesce(jsonb_object_agg(key, CASE WHEN key = 'session' THEN deadlines->>key ELSE $2::text END), '{}')
             FROM jsonb_object_keys(deadlines) AS k(key)) WHERE id = $1`,
        [collabId, past],
      );
      for (const [table, column] of [
        ['turn', 'due_at'],
        ['broadcast', 'due_at'],
        ['decision', 'deadline'],
        ['conflict', 'level_due_at'],
        ['council', 'ends_at'],
      ] as const)
        await sql.unsafe(
          `UPDATE collab.${table} SET ${column} = $2::text::timestamptz WHERE collab_id = $1 AND ${column} IS NOT NULL`,
          [collabId, past],
        );
      await service.deadlines.meetOne('one', collabId);
    },

    stream: (streamId: string, tenantId = 'one') =>
      eventLog.read({ module: 'collab', tenantId, streamId, afterSequence: 0, limit: 10_000 }),

    /** What a subscriber would get from the kept stream. */
    async replay(principal: Principal, field: string, args: Readonly<Record<string, unknown>>, afterSequence = 0) {
      const source = collabSubscriptions[field]!;
      const gate = await source.admit(principal, args, { sql });
      const streamId = source.streamId(args, principal);
      const kept = await eventLog.read({
        module: 'collab',
        tenantId: principal.tenantId,
        streamId,
        afterSequence,
        limit: 10_000,
      });
      return kept
        .filter((event) => gate.decide(event) === 'deliver' && matchesType(source.types, event.type))
        .map((event) => source.payload(event) as Json);
    },

    /** What another module would have appended. */
    async tell(module: SubgraphName, streamId: string, type: string, data: Readonly<Record<string, unknown>>) {
      const appended = await sql.begin((tx) =>
        appendChange(tx, module, [{ tenantId: 'one', actor: 'ann', events: [{ streamId, type, data, tags: [] }] }]),
      );
      bus.publish(appended as readonly EventRow[]);
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

export type CollabRig = Awaited<ReturnType<typeof openCollabRig>>;

const memberScopes = ['collab:read', 'collab:create', 'collab:write', 'context:read', 'plan:read', 'role:read'];

/** A member of tenant `one` without administrative rights, unless said otherwise. */
export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  return createPrincipal({ tenantId: 'one', subject, roles: ['member'], scopes: memberScopes, ...input });
}

export const ann = principal('ann');
export const bob = principal('bob');
export const cat = principal('cat');
export const dan = principal('dan');
export const admin = principal('root', { scopes: ['*'], roles: ['admin'] });

export function codesOf(payload: Json): readonly string[] {
  return payload['userErrors']!.map((error) => String(error['code']));
}

/** Event types, in order. */
export const typesOf = (events: readonly EventRow[]): readonly string[] => events.map(({ type }) => type);
