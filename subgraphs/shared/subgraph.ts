import { readFile } from 'node:fs/promises';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { GraphQLResolverMap } from '@apollo/subgraph/dist/resolvers.js';
import { type DocumentNode, type FieldDefinitionNode, type GraphQLSchema, parse, type TypeNode } from 'graphql';
import type { PrismaClient } from '../../prisma/generated/client.ts';
import type { SubgraphName } from '../names.ts';
import {
  type Authorizer,
  type AuthRule,
  type AuthRules,
  collectAuthRules,
  permissionDenied,
  readAuthRule,
} from './auth.ts';
import type { Bus } from './bus.ts';
import type { ProtocolCodec } from './codec.ts';
import type { ComputePool } from './computePool.ts';
import type { Config } from './config.ts';
import type { ModuleContext, RequestScope } from './context.ts';
import { PlatformError, toUserError } from './errors.ts';
import type { StreamSubscription } from './events.ts';
import type { Graph } from './graph.ts';
import { isId } from './ids.ts';
import type { JobHandler } from './jobs.ts';
import type { PartitionedTable } from './partitions.ts';
import type { Publisher } from './publisher.ts';
import { scalars } from './scalars.ts';
import type { Sql } from './sql.ts';
import type { Logger } from './telemetry.ts';
import { textProblem } from './validation.ts';

/** What the process gives a module to work with. */
export interface ModuleRuntime {
  readonly config: Config;
  readonly sql: Sql;
  /**
   * For short reads by key, which share a few pipelined connections: a statement of its own connection costs each side
   * twice as much (measured: 53 and 53 us on ten, 25 and 18 us on one). Nothing long may run there. @default sql
   */
  readonly keyedSql?: Sql;
  readonly prisma: PrismaClient;
  readonly bus: Bus;
  readonly publisher: Publisher;
  readonly authorizer: Authorizer;
  readonly graph: Graph;
  /** For whatever would hold up the event loop. */
  readonly compute: ComputePool;
  readonly logger: Logger;
  /** Database of another module's events, to consume them. */
  readonly sqlOf: (module: SubgraphName) => Sql;
  /**
   * The same on connections of their own, for consumers: a page stands in an open transaction while its handling takes
   * further connections, and where both come of one pool they can wait for each other for ever (seen: six consumers on
   * four connections). @default sqlOf
   */
  readonly consumerSqlOf?: (module: SubgraphName) => Sql;
  /** Codecs of all modules, for the protocol door. */
  readonly codecs: ReadonlyMap<SubgraphName, ProtocolCodec>;
}

export interface StartedModule {
  close(): Promise<void>;
}

/** A subgraph is data: this is all there is to one beside its SDL, models and algorithms. */
export interface SubgraphDefinition<Service, Loaders> {
  readonly name: SubgraphName;
  readonly resolvers: object;
  /** SDL other than schema/<name>.graphql, complete with the shared part. */
  readonly typeDefs?: DocumentNode;
  readonly createService: (runtime: ModuleRuntime) => Service;
  readonly createLoaders: (service: Service, scope: RequestScope) => Loaders;
  readonly subscriptions?: Readonly<Record<string, StreamSubscription>>;
  readonly jobs?: (runtime: ModuleRuntime, service: Service) => Readonly<Record<string, JobHandler>>;
  readonly crontab?: readonly string[];
  /** Its own tables in partitions, beside events and audit. */
  readonly partitions?: readonly PartitionedTable[] | ((config: Config) => readonly PartitionedTable[]);
  readonly codec?: ProtocolCodec;
  /** Entities whose ids are any text. @default all ids are UUIDs */
  readonly textIds?: readonly string[];
  /** Consumers and in-process timers; only where the module is served. */
  readonly start?: (runtime: ModuleRuntime, service: Service) => Promise<StartedModule>;
}

export interface OpenSubgraph {
  readonly name: SubgraphName;
  readonly schema: GraphQLSchema;
  readonly jobs: Readonly<Record<string, JobHandler>>;
  /** The context its resolvers get for one request; made once per request. */
  contextFor(scope: RequestScope): ModuleContext<unknown, unknown>;
  start(): Promise<StartedModule>;
}

export interface Subgraph {
  readonly name: SubgraphName;
  readonly subscriptions: Readonly<Record<string, StreamSubscription>>;
  readonly crontab: readonly string[];
  readonly partitions: (config: Config) => readonly PartitionedTable[];
  readonly codec: ProtocolCodec | undefined;
  open(runtime: ModuleRuntime): Promise<OpenSubgraph>;
}

/** SDL of a subgraph as it is composed: the shared part and its own. */
export async function readTypeDefs(name: SubgraphName): Promise<DocumentNode> {
  const [shared, own] = await Promise.all(
    ['shared', name].map((file) => readFile(new URL(`../../schema/${file}.graphql`, import.meta.url), 'utf8')),
  );
  return parse(`${shared}\n${own}`);
}

/** Turns a definition into a subgraph that any server can host. */
export function defineSubgraph<Service, Loaders>(definition: SubgraphDefinition<Service, Loaders>): Subgraph {
  return {
    name: definition.name,
    subscriptions: definition.subscriptions ?? {},
    crontab: definition.crontab ?? [],
    partitions: (config) =>
      typeof definition.partitions === 'function' ? definition.partitions(config) : (definition.partitions ?? []),
    codec: definition.codec,
    async open(runtime) {
      const typeDefs = definition.typeDefs ?? (await readTypeDefs(definition.name));
      const service = definition.createService(runtime);
      const resolvers = guardResolvers(typeDefs, definition.resolvers, {
        authorizer: runtime.authorizer,
        textIds: new Set(definition.textIds),
      });
      return {
        name: definition.name,
        schema: buildSubgraphSchema([{ typeDefs, resolvers }]),
        jobs: definition.jobs?.(runtime, service) ?? {},
        contextFor(scope) {
          const known = scope.moduleContexts.get(definition.name);
          if (known) return known as ModuleContext<Service, Loaders>;
          const context: ModuleContext<Service, Loaders> = {
            scope,
            principal: scope.principal,
            service,
            loaders: definition.createLoaders(service, scope),
          };
          scope.moduleContexts.set(definition.name, context);
          return context;
        },
        start: async () => definition.start?.(runtime, service) ?? { close: async () => {} },
      };
    },
  };
}

type AnyResolver = (parent: unknown, args: unknown, context: ModuleContext<unknown, unknown>, info: unknown) => unknown;
type ReferenceResolver = (
  reference: { id?: unknown },
  context: ModuleContext<unknown, unknown>,
  info: unknown,
) => unknown;

/** Puts the `@auth` rule in front of every resolver that has one, and turns expected failures of mutations into payloads. */
function guardResolvers(
  typeDefs: DocumentNode,
  resolvers: object,
  { authorizer, textIds }: { readonly authorizer: Authorizer; readonly textIds: ReadonlySet<string> },
): GraphQLResolverMap<unknown> {
  const rules = collectAuthRules(typeDefs);
  const payloads = payloadFields(typeDefs);
  requireRootResolvers(typeDefs, resolvers);
  const guarded: Record<string, unknown> = { ...scalars };
  for (const [typeName, fields] of Object.entries(resolvers)) {
    if (typeof fields !== 'object' || fields === null || !isPlainMap(fields)) {
      guarded[typeName] = fields;
      continue;
    }
    const map: Record<string, unknown> = {};
    for (const [fieldName, resolver] of Object.entries(fields)) {
      if (typeof resolver !== 'function') {
        map[fieldName] = resolver;
        continue;
      }
      if (fieldName === '__resolveReference') {
        map[fieldName] = guardReference(resolver as ReferenceResolver, rules.entities.get(typeName), {
          authorizer,
          isValidId: textIds.has(typeName) ? isTextId : isId,
        });
        continue;
      }
      const rule = fieldRule(rules, typeDefs, typeName, fieldName);
      const withRule = rule ? guardField(resolver as AnyResolver, rule, authorizer) : (resolver as AnyResolver);
      map[fieldName] = typeName === 'Mutation' && payloads.has(fieldName) ? payloadResolver(withRule) : withRule;
    }
    guarded[typeName] = map;
  }
  // A field with a rule of its own but no resolver would be answered by its parent's property, past the rule.
  for (const [place, rule] of ownRules(typeDefs)) {
    const [typeName, fieldName] = place.split('.') as [string, string];
    const map = (guarded[typeName] ?? {}) as Record<string, unknown>;
    guarded[typeName] = map;
    if (map[fieldName] === undefined) {
      map[fieldName] = guardField((parent) => (parent as Record<string, unknown>)[fieldName], rule, authorizer);
    }
  }
  return guarded as GraphQLResolverMap<unknown>;
}

/** @throws {Error} naming root fields that nobody resolves: they would answer null to everyone. */
function requireRootResolvers(typeDefs: DocumentNode, resolvers: object): void {
  const missing: string[] = [];
  for (const [typeName, fieldName] of objectFields(typeDefs)) {
    if (typeName !== 'Query' && typeName !== 'Mutation') continue;
    const map = (resolvers as Record<string, Record<string, unknown> | undefined>)[typeName];
    if (map?.[fieldName] === undefined) missing.push(`${typeName}.${fieldName}`);
  }
  if (missing.length > 0) throw new Error(`without a resolver: ${missing.join(', ')}`);
}

function* objectFields(typeDefs: DocumentNode): Generator<[string, string, FieldDefinitionNode]> {
  for (const definition of typeDefs.definitions) {
    if (definition.kind !== 'ObjectTypeDefinition' && definition.kind !== 'ObjectTypeExtension') continue;
    for (const field of definition.fields ?? []) yield [definition.name.value, field.name.value, field];
  }
}

/** Rules that stand on fields outside the root types. */
function* ownRules(typeDefs: DocumentNode): Generator<[string, AuthRule]> {
  for (const [typeName, fieldName, field] of objectFields(typeDefs)) {
    const rule = ['Query', 'Mutation', 'Subscription'].includes(typeName) ? undefined : readAuthRule(field.directives);
    if (rule) yield [`${typeName}.${fieldName}`, rule];
  }
}

function isPlainMap(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
}

/** A field's own rule; an entity edge without one takes the rule of the entity it leads to. */
function fieldRule(
  rules: AuthRules,
  typeDefs: DocumentNode,
  typeName: string,
  fieldName: string,
): AuthRule | undefined {
  const own = rules.fields.get(`${typeName}.${fieldName}`);
  for (const definition of typeDefs.definitions) {
    if (definition.kind !== 'ObjectTypeDefinition' && definition.kind !== 'ObjectTypeExtension') continue;
    if (definition.name.value !== typeName) continue;
    const field = definition.fields?.find((node) => node.name.value === fieldName);
    if (!field) continue;
    if (field.directives?.some((node) => node.name.value === 'auth')) return own;
    return rules.entities.get(namedType(field.type)) ?? own;
  }
  return own;
}

function namedType(type: TypeNode): string {
  return type.kind === 'NamedType' ? type.name.value : namedType(type.type);
}

function checkRule(
  rule: AuthRule,
  context: ModuleContext<unknown, unknown>,
  authorizer: Authorizer,
): void | Promise<void> {
  for (const permission of rule.requires) {
    const allowed = authorizer.allows(context.principal, permission);
    if (allowed === true) continue;
    if (allowed === false) throw permissionDenied(permission);
    return allowed.then(async (answer) => {
      if (!answer) throw permissionDenied(permission);
      const rest = rule.requires.slice(rule.requires.indexOf(permission) + 1);
      await checkRule({ ...rule, requires: rest }, context, authorizer);
    });
  }
}

function guardField(resolver: AnyResolver, rule: AuthRule, authorizer: Authorizer): AnyResolver {
  return (parent, args, context, info) => {
    const pending = checkRule(rule, context, authorizer);
    return pending ? pending.then(() => resolver(parent, args, context, info)) : resolver(parent, args, context, info);
  };
}

function guardReference(
  resolver: ReferenceResolver,
  rule: AuthRule | undefined,
  { authorizer, isValidId }: { readonly authorizer: Authorizer; readonly isValidId: (id: unknown) => boolean },
): ReferenceResolver {
  return (reference, context, info) => {
    // A malformed id cannot be anyone's: the database never sees it.
    if (reference.id !== undefined && !isValidId(reference.id)) return null;
    const pending = rule ? checkRule(rule, context, authorizer) : undefined;
    return pending ? pending.then(() => resolver(reference, context, info)) : resolver(reference, context, info);
  };
}

function isTextId(id: unknown): boolean {
  return typeof id === 'string' && id !== '' && id.length <= 255 && textProblem(id) === null;
}

/** Mutation fields whose payload type has `userErrors`. */
function payloadFields(typeDefs: DocumentNode): ReadonlySet<string> {
  const withErrors = new Set<string>();
  for (const definition of typeDefs.definitions) {
    if (
      definition.kind === 'ObjectTypeDefinition' &&
      definition.fields?.some((field) => field.name.value === 'userErrors')
    )
      withErrors.add(definition.name.value);
  }
  const fields = new Set<string>();
  for (const definition of typeDefs.definitions) {
    if (
      (definition.kind === 'ObjectTypeDefinition' || definition.kind === 'ObjectTypeExtension') &&
      definition.name.value === 'Mutation'
    ) {
      for (const field of definition.fields ?? []) {
        if (
          field.type.kind === 'NonNullType' &&
          field.type.type.kind === 'NamedType' &&
          withErrors.has(field.type.type.name.value)
        )
          fields.add(field.name.value);
      }
    }
  }
  return fields;
}

/** Failures that concern the caller's right to ask or our own health stay GraphQL errors. */
const notForPayload = new Set([
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'INTERNAL_ERROR',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
]);

function payloadResolver(resolver: AnyResolver): AnyResolver {
  return async (parent, args, context, info) => {
    try {
      const payload = await resolver(parent, args, context, info);
      return { userErrors: [], ...(payload as object) };
    } catch (error) {
      if (error instanceof PlatformError && !notForPayload.has(error.code)) return { userErrors: [toUserError(error)] };
      throw error;
    }
  };
}
