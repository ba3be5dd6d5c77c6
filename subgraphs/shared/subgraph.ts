import { readFile } from 'node:fs/promises';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type DocumentNode, type GraphQLSchema, Kind, parse } from 'graphql';
import type { PrismaClient } from '../../prisma/generated/client.ts';
import type { SubgraphName } from '../names.ts';
import type { Authorizer } from './auth.ts';
import type { Bus } from './bus.ts';
import type { ProtocolCodec } from './codec.ts';
import type { ComputePool } from './computePool.ts';
import type { Config } from './config.ts';
import type { ModuleContext, RequestScope } from './context.ts';
import { createDoor, type Locators } from './door.ts';
import type { ErasureRules } from './erasure/rules.ts';
import type { StreamSubscription } from './events.ts';
import type { ExportEntity } from './exports/exportEntity.ts';
import { sharedEntities } from './exports/sharedEntities.ts';
import type { Graph } from './graph.ts';
import { guardResolvers } from './guard.ts';
import type { JobHandler } from './jobs.ts';
import type { Logs } from './logs/openLogs.ts';
import type { PartitionedTable } from './partitions.ts';
import type { Publisher } from './publisher.ts';
import type { Sql } from './sql.ts';
import type { Logger } from './telemetry.ts';

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
  /** The log of the process. @default the platform module opens one of its own */
  readonly logs?: Logs;
  /** Database of another module's events, to consume them. */
  readonly sqlOf: (module: SubgraphName) => Sql;
  /**
   * The same on connections of their own, for consumers: a page stands in an open transaction while its handling takes
   * further connections, and where both come of one pool they can wait for each other for ever (seen: six consumers on
   * four connections). @default sqlOf
   */
  readonly consumerSqlOf?: (module: SubgraphName) => Sql;
  /** Codecs of all modules, where the protocol door is served; elsewhere none. */
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
  /** What an erasure of a subject must know of its tables beside the catalogue. */
  readonly erasure?: ErasureRules;
  readonly codec?: ProtocolCodec;
  /** Rows that are exported as a whole, beside events and audit. */
  readonly exports?: readonly ExportEntity[];
  /** Entities whose ids are any text. @default all ids are UUIDs */
  readonly textIds?: readonly string[];
  /** Finds the context of its objects, by the kinds that `@auth(context:)` names. */
  readonly locators?: Locators;
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
  readonly locators: Locators;
  readonly crontab: readonly string[];
  readonly partitions: (config: Config) => readonly PartitionedTable[];
  readonly erasure: ErasureRules;
  readonly codec: ProtocolCodec | undefined;
  readonly exports: readonly ExportEntity[];
  open(runtime: ModuleRuntime): Promise<OpenSubgraph>;
}

/** SDL of a subgraph as it is composed: the shared part and its own. */
export function readTypeDefs(name: SubgraphName): Promise<DocumentNode> {
  const known = typeDefsByName.get(name);
  if (known) return known;
  const read = Promise.all([readSdl('shared'), readSdl(name)]).then(
    ([shared, own]): DocumentNode => ({
      kind: Kind.DOCUMENT,
      definitions: [...shared.definitions, ...own.definitions],
    }),
  );
  typeDefsByName.set(name, read);
  return read;
}

const typeDefsByName = new Map<SubgraphName, Promise<DocumentNode>>();
const sdlByFile = new Map<string, Promise<DocumentNode>>();

/** Read once a process: the gateway and the subgraph ask for the same. Places in the text would keep all of its tokens. */
function readSdl(file: string): Promise<DocumentNode> {
  const known = sdlByFile.get(file);
  if (known) return known;
  const read = readFile(new URL(`../../schema/${file}.graphql`, import.meta.url), 'utf8').then((text) =>
    parse(text, { noLocation: true }),
  );
  sdlByFile.set(file, read);
  return read;
}

/** Turns a definition into a subgraph that any server can host. */
export function defineSubgraph<Service, Loaders>(definition: SubgraphDefinition<Service, Loaders>): Subgraph {
  return {
    name: definition.name,
    subscriptions: definition.subscriptions ?? {},
    locators: definition.locators ?? {},
    crontab: definition.crontab ?? [],
    partitions: (config) =>
      typeof definition.partitions === 'function' ? definition.partitions(config) : (definition.partitions ?? []),
    erasure: definition.erasure ?? {},
    codec: definition.codec,
    exports: [...(definition.exports ?? []), ...sharedEntities(definition.name)],
    async open(runtime) {
      const typeDefs = definition.typeDefs ?? (await readTypeDefs(definition.name));
      const service = definition.createService(runtime);
      const resolvers = guardResolvers(typeDefs, definition.resolvers, {
        door: createDoor({
          authorizer: runtime.authorizer,
          sql: runtime.keyedSql ?? runtime.sql,
          locators: definition.locators ?? {},
        }),
        locators: definition.locators ?? {},
        textIds: new Set(definition.textIds),
      });
      return {
        name: definition.name,
        schema: buildSubgraphSchema([{ typeDefs, resolvers }]),
        jobs: definition.jobs?.(runtime, service) ?? {},
        contextFor(scope) {
          const known = scope.moduleContexts.get(definition.name);
          if (known) return known as ModuleContext<Service, Loaders>;
          let loaders: Loaders | undefined;
          const context: ModuleContext<Service, Loaders> = {
            scope,
            principal: scope.principal,
            service,
            // Made when the first is asked for: many operations need none.
            get loaders() {
              loaders ??= definition.createLoaders(service, scope);
              return loaders;
            },
          };
          scope.moduleContexts.set(definition.name, context);
          return context;
        },
        start: async () => definition.start?.(runtime, service) ?? { close: async () => {} },
      };
    },
  };
}
