import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
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
import { createExtensionLoaders } from '../../subgraphs/extension/loaders.ts';
import { extensionLocators } from '../../subgraphs/extension/locators.ts';
import { digestOf } from '../../subgraphs/extension/manifest/signature.ts';
import { resolvers } from '../../subgraphs/extension/resolvers.ts';
import { createExtensionService, type ExtensionService } from '../../subgraphs/extension/service.ts';
import { extensionSubscriptions } from '../../subgraphs/extension/subscriptions.ts';
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

export interface RigOptions {
  readonly env?: Readonly<Record<string, string>>;
}

/** The extension subgraph over a database of its own. Contexts are what `contexts` says. */
export async function openExtensionRig({ env = {} }: RigOptions = {}) {
  const database = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', EXTENSION_THREADS: '2', EXTENSION_THREADS_MAX: '3', ...env });
  const sql = createSql(database.url, { applicationName: 'extension-test', max: 12 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'extension-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('extension', (batch) => events.push(...batch));
  /** What the graph says of contexts, by `tenant/id`. */
  const contexts = new Map<string, { status: string; ownerId: string; accessControl: { visibility: string } }>();
  /** Active manifests, by tenant. */
  const manifests = new Map<string, { status: string; modules: { moduleId: string; status: string }[] }>();
  /** Documents that were run through the graph, and by whom. */
  const asked: { readonly document: string; readonly principal: Principal }[] = [];
  const graph: Graph = {
    async execute(document, variables, principal) {
      asked.push({ document, principal });
      const id = String(variables['id']);
      const context = contexts.get(`${principal.tenantId}/${id}`);
      const found = context && { id, ...context };
      const coreManifest = manifests.get(principal.tenantId) ?? null;
      return { data: { context: found ?? null, found: found ?? null, coreManifest } as never, errors: [] };
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
  const services: ExtensionService[] = [];
  const definition = defineSubgraph({
    name: 'extension',
    locators: extensionLocators,
    resolvers,
    createService(given) {
      const service = createExtensionService(given);
      services.push(service);
      return service;
    },
    createLoaders: createExtensionLoaders,
  });
  const subgraph = await definition.open(runtime);
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
      data: (result.data == null ? null : JSON.parse(JSON.stringify(result.data))) as Json,
      errors: (result.errors ?? []).map(({ message, extensions }) => ({ message, code: extensions['code'] })),
      scope,
    };
  }

  /** Asks and insists on an answer without errors. */
  async function ask(principal: Principal, source: string, variables?: Readonly<Record<string, unknown>>) {
    const { data, errors } = await run(principal, source, variables);
    if (errors.length > 0) throw new Error(errors.map(({ message, code }) => `${String(code)} ${message}`).join('; '));
    return data;
  }

  function openContext(tenantId = 'one', visibility = 'TENANT', ownerId = 'alice'): string {
    const id = newId();
    contexts.set(`${tenantId}/${id}`, { status: 'ACTIVE', ownerId, accessControl: { visibility } });
    return id;
  }

  const selection =
    'extension { id name version status runtimeState trustLevel grants requestedPermissions revision errorCount lastError { code message } quarantine { reason by } currentRelease { id version } previousRelease { id } capabilities { id name status } sandbox { id status } } userErrors { code path message retryAfterMs }';

  async function mutate(principal: Principal, field: string, type: string, input: object, more = ''): Promise<Json> {
    const data = await ask(
      principal,
      `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} ${more} } }`,
      {
        input,
      },
    );
    return data[field]!;
  }

  /** A mutation whose arguments are the extension's id and what else is named. */
  async function step(
    principal: Principal,
    field: string,
    extensionId: string,
    args: Readonly<Record<string, string>> = {},
  ): Promise<Json> {
    const given = Object.keys(args);
    const data = await ask(
      principal,
      `mutation ($extensionId: ID!${given.map((name) => `, $${name}: String!`).join('')}) { ${field}(extensionId: $extensionId${given.map((name) => `, ${name}: $${name}`).join('')}) { ${selection} } }`,
      { extensionId, ...args },
    );
    return data[field]!;
  }

  const register = (principal: Principal, given: ExtensionInput) =>
    mutate(principal, 'registerExtension', 'RegisterExtensionInput', {
      contextId: given.contextId ?? openContext(principal.tenantId),
      name: given.name ?? `extension-${newId().slice(0, 8)}`,
      extensionType: 'CAPABILITY',
      version: given.version ?? '1.0.0',
      ...given.more,
      release: releaseOf(given),
    });

  function insist(payload: Json): Json {
    if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
    return payload;
  }

  return {
    sql,
    events,
    contexts,
    manifests,
    asked,
    runtime,
    service,
    subgraph,
    run,
    ask,
    mutate,
    step,
    register,
    openContext,
    insist,

    /** An extension that runs: its id and the ids of its capabilities by name. */
    async running(given: ExtensionInput = {}, principal: Principal = admin) {
      const registered = insist(await register(principal, given));
      const id = String(registered['extension']!['id']);
      insist(
        await mutate(principal, 'installExtension', 'InstallExtensionInput', { extensionId: id, ...given.install }),
      );
      const loaded = insist(await mutate(principal, 'loadExtension', 'LoadExtensionInput', { extensionId: id }));
      const capabilities = new Map(
        loaded['extension']!['capabilities']!.map((one) => [String(one['name']), String(one['id'])]),
      );
      return { id, capabilities, extension: loaded['extension']! };
    },

    async publish(principal: Principal, extensionId: string, given: ExtensionInput): Promise<string> {
      const payload = insist(
        await mutate(
          principal,
          'publishVersion',
          'PublishVersionInput',
          { extensionId, version: given.version, release: releaseOf(given) },
          'release { id }',
        ),
      );
      return String(payload['release']!['id']);
    },

    async execute(principal: Principal, input: object): Promise<Json> {
      const data = await ask(
        principal,
        'mutation ($input: ExecuteExtensionInput!) { executeExtension(input: $input) { executionId status result cacheInfo { hit } memoryPeakBytes execution { crashed hostCalls error { type code message } logs { level text } } userErrors { code message retryAfterMs } } }',
        { input },
      );
      return data['executeExtension']!;
    },

    async stateOf(id: string, principal: Principal = admin): Promise<Json> {
      return (
        await ask(
          principal,
          `query ($id: ID!) { extension(id: $id) { id version status runtimeState grants quarantine { reason by } lastError { code message } currentRelease { id version } } }`,
          { id },
        )
      )['extension']!;
    },

    stream: (streamId: string, tenantId = 'one') =>
      eventLog.read({ module: 'extension', tenantId, streamId, afterSequence: 0, limit: 10_000 }),

    /** What a subscriber would get from the kept stream. */
    async replay(principal: Principal, field: string, args: Readonly<Record<string, unknown>>) {
      const source = extensionSubscriptions[field]!;
      await source.admit(principal, args, { sql });
      const kept = await eventLog.read({
        module: 'extension',
        tenantId: principal.tenantId,
        streamId: source.streamId(args, principal),
        afterSequence: 0,
        limit: 10_000,
      });
      return kept.filter(({ type }) => matchesType(source.types, type)).map((event) => source.payload(event) as Json);
    },

    /** What another module would have appended. */
    async tell(module: SubgraphName, type: string, data: Readonly<Record<string, unknown>>, streamId = newId()) {
      const appended = await sql.begin((tx) =>
        appendChange(tx, module, [{ tenantId: 'one', actor: 'alice', events: [{ streamId, type, data, tags: [] }] }]),
      );
      bus.publish(appended as readonly EventRow[]);
      return (appended as readonly EventRow[])[0]!;
    },

    async [Symbol.asyncDispose](): Promise<void> {
      await service.close();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
}

export type ExtensionRig = Awaited<ReturnType<typeof openExtensionRig>>;

export interface ExtensionInput {
  readonly contextId?: string;
  readonly name?: string;
  readonly version?: string;
  readonly bundle?: string;
  readonly manifest?: Readonly<Record<string, unknown>>;
  readonly sign?: KeyObject;
  readonly install?: object;
  readonly more?: object;
}

export const calculator = `export const Main = {
  add: ({ a, b }) => a + b,
  who: (_parameters, context) => context,
  loop() { for (;;); },
  async remember({ key, value }) { await mplp.state.set(key, value); return mplp.state.get(key); },
  recall: ({ key }) => mplp.state.get(key),
  fail({ code }) { const error = new Error('refused'); error.code = code; throw error; },
  twice: ({ a }) => 2 * a,
  wrong: () => 'no number',
  async peek() { return mplp.call('context.get', {}); },
  async any({ operation, payload }) { return mplp.call(operation, payload); },
  healthy: () => true,
};`;

const number = { type: 'number' };

/** A manifest over the calculator, with what a test asks for beside it. */
export function manifestOf(more: Readonly<Record<string, unknown>> = {}) {
  return {
    entry_point: 'main.js',
    main_class: 'Main',
    capabilities: [
      {
        name: 'sums',
        interfaces: [
          {
            interface_name: 'sums',
            methods: [
              {
                method_name: 'add',
                pure: true,
                input_schema: { type: 'object', required: ['a', 'b'], properties: { a: number, b: number } },
                output_schema: number,
              },
              { method_name: 'who' },
              { method_name: 'loop' },
              { method_name: 'remember' },
              { method_name: 'recall' },
              { method_name: 'fail', error_codes: ['NO_SUCH_SUM'] },
              { method_name: 'wrong', output_schema: number },
              { method_name: 'peek' },
              { method_name: 'any' },
            ],
          },
        ],
      },
    ],
    ...more,
  };
}

export function releaseOf({ bundle = calculator, manifest = manifestOf(), sign: key }: ExtensionInput) {
  const digest = digestOf(bundle);
  return {
    manifest,
    bundle,
    checksum: digest.toString('hex'),
    ...(key === undefined ? {} : { signature: sign(null, digest, key).toString('base64') }),
  };
}

export function newKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(), privateKey };
}

/** Makes a key known and answers what signs with it. */
export async function trustedKey(rig: ExtensionRig, trustLevel = 'VERIFIED', principal = admin): Promise<KeyObject> {
  const { pem, privateKey } = newKey();
  const data = await rig.ask(
    principal,
    'mutation ($input: RegisterPublisherKeyInput!) { registerPublisherKey(input: $input) { key { id } userErrors { code message } } }',
    { input: { publisherId: 'acme', name: 'Acme', publicKey: pem, trustLevel } },
  );
  rig.insist(data['registerPublisherKey']!);
  return privateKey;
}

const memberScopes = ['extension:read', 'extension:execute', 'context:read'];

/** A member of tenant `one` without administrative rights, unless said otherwise. */
export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  return createPrincipal({ tenantId: 'one', subject, roles: ['member'], scopes: memberScopes, ...input });
}

export const alice = principal('alice');
export const bob = principal('bob');
export const admin = principal('root', { scopes: ['*'], roles: ['admin'] });

export function codesOf(payload: Json): readonly string[] {
  return payload['userErrors']!.map((error) => String(error['code']));
}
