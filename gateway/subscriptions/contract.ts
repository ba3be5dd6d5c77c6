import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type {
  DocumentNode,
  FormattedExecutionResult,
  GraphQLFormattedError,
  GraphQLSchema,
  ValidationRule,
} from 'graphql';
import type { RightsChange } from '#shared/auth.ts';
import type { Bus } from '#shared/bus.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import type { Planning } from '../execution/planning.ts';
import type { Toll } from '../limits/toll.ts';
import type { HubConfig } from './config.ts';
import type { FormatError } from './errors.ts';
import type { EventLog } from './eventLog.ts';
import type { HubLogger } from './logger.ts';
import type { HubMetrics } from './metrics.ts';
import type { GraphQLRequest, OperationCatalog, OperationScope, SubscriptionOperation } from './operation.ts';
import type { DataSources } from './planner.ts';
import type { Variables } from './selection.ts';
import type { Sink } from './sink.ts';
import type { StreamLimitOptions, StreamLimits } from './streamLimits.ts';
import type { ConnectionInfo, Subscriber } from './subscriber.ts';
import type { TickFlusher } from './tick.ts';

export interface HttpStreamOptions {
  /** The parsed JSON body where the HTTP framework has read it already. */
  readonly body?: unknown;
}

export interface Credentials {
  readonly headers: IncomingMessage['headers'];
  /** Payload of `connection_init`; WebSocket only. */
  readonly connectionParams: Readonly<Record<string, unknown>> | undefined;
  readonly remoteAddress: string | undefined;
  readonly address: string | undefined;
}

export interface SubscriptionHubDeps {
  readonly planning: Planning;
  /** The gateway's data sources by subgraph name; what a plan asks beyond the event goes through them. */
  readonly dataSources: DataSources;
  /** One entry for each field of `Subscription`. */
  readonly subscriptions: Readonly<Record<string, StreamSubscription>>;
  readonly eventLog: EventLog;
  readonly bus: Bus;
  /** The database of a module, for admission. */
  sqlOf(module: StreamSubscription['module']): Sql;
  /** @throws {PlatformError} UNAUTHENTICATED */
  authenticate(credentials: Credentials): Principal | Promise<Principal>;
  /** `contextValue` for the fetches behind one event: fresh loaders, the principal, the event's `traceparent`. */
  createRequestContext(
    principal: Principal,
    connection: ConnectionInfo,
    event: EventRow | EphemeralEvent,
  ): object | Promise<object>;
  /** The correlation id of such a context. @default one of its own for each error */
  correlationOf?: ((context: object) => string) | undefined;
  /** Rights beside those of the token: subscribers whose keys differ share no results. @default none */
  rightsKey?: ((principal: Principal) => string) | undefined;
  /**
   * The door of a field of `Subscription`, asked at the beginning and whenever rights of the subject change.
   * @default open @throws {PERMISSION_DENIED}
   */
  authorize?: ((principal: Principal, fieldName: string, args: Variables) => void | Promise<void>) | undefined;
  /** Calls back once the principal's token is revoked; answers how to stop. @default none ever is */
  watchToken?: ((principal: Principal, onRevoked: () => void) => () => void) | undefined;
  /** Calls back at each change of rights; answers how to stop. @default they never change */
  onRightsChanged?: ((listener: (change: RightsChange) => void) => () => void) | undefined;
  /** Queries and mutations that come over a subscription transport: validated, limited and executed as over HTTP. */
  executeOperation(
    request: GraphQLRequest,
    principal: Principal,
    connection: ConnectionInfo,
    toll: Toll | undefined,
  ): Promise<FormattedExecutionResult>;
  scopeOf(document: DocumentNode): OperationScope;
  /** False refuses a WebSocket or stream from this `Origin` with 403. Clients outside browsers send none. */
  isOriginAllowed?(origin: string | undefined, request: IncomingMessage): boolean;
  /** What an operation pays: for being read where its document is unknown, and before it begins. @default nothing */
  createToll?: ((principal: Principal, connection: ConnectionInfo) => Toll) | undefined;
  /** The client's address, behind a trusted proxy another than the socket's. @default the socket's */
  addressOf?: ((request: IncomingMessage) => string | undefined) | undefined;
  /** Whether a document may be run at all. @default every one may */
  isAdmitted?: ((source: string) => boolean) | undefined;
  readonly validationRules?: readonly ValidationRule[];
  readonly formatError?: FormatError;
  readonly logger: HubLogger;
  readonly metrics?: Partial<HubMetrics>;
  readonly config?: Partial<HubConfig>;
  /** Limits that may change while it runs. @default those of `config` */
  readonly streamLimits?: StreamLimitOptions;
}

export interface SubscribeRequest {
  readonly operation: SubscriptionOperation;
  readonly variables: Variables | null | undefined;
  readonly principal: Principal;
  readonly connection: ConnectionInfo;
  /** What it pays before it begins. @default nothing */
  readonly toll?: Toll | undefined;
  readonly sink: Sink;
  /** Where the client left off as its transport says it, which goes before the argument `after`: it is the newer. */
  readonly after?: string | undefined;
  /** Called once when the operation is over, whoever ended it. */
  onEnd(): void;
}

export interface SubscriptionHub {
  /** For `server.on('upgrade')` on the GraphQL path. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** `accept: text/event-stream`, GET or POST (graphql-sse, distinct connections). */
  handleSse(request: IncomingMessage, response: ServerResponse, options?: HttpStreamOptions): Promise<void>;
  /** `accept: multipart/mixed;subscriptionSpec="1.0"`, POST. */
  handleMultipart(request: IncomingMessage, response: ServerResponse, options?: HttpStreamOptions): Promise<void>;
  /** Plans operations ahead, so that the first subscriber does not wait for it. */
  warm(requests: readonly GraphQLRequest[]): void;
  stats(): { readonly subscriptions: number; readonly groups: number; readonly streams: number };
  /** Ends all subscriptions and connections; those that have not gone after `deadlineMs` are destroyed. */
  close(options?: { readonly deadlineMs?: number }): Promise<void>;
}

/** What the transports need of the hub. */
export interface HubCore {
  readonly config: HubConfig;
  readonly metrics: HubMetrics;
  readonly logger: HubLogger;
  readonly flusher: TickFlusher;
  readonly apiSchema: GraphQLSchema;
  readonly limits: StreamLimits;
  authenticate(credentials: Credentials): Promise<Principal>;
  /** Calls back once the token has expired or is revoked; answers how to stop. */
  watchToken(principal: Principal, onEnd: (reason: 'expired' | 'revoked') => void): () => void;
  readonly executeOperation: SubscriptionHubDeps['executeOperation'];
  isOriginAllowed(origin: string | undefined, request: IncomingMessage): boolean;
  createToll(principal: Principal, connection: ConnectionInfo): Toll | undefined;
  addressOf(request: IncomingMessage): string | undefined;
  /** Whoever sends a document that is not known pays for its reading first. @throws {RATE_LIMITED} and what reading throws */
  prepare(request: GraphQLRequest, toll: Toll | undefined): Promise<ReturnType<OperationCatalog['prepare']>>;
  subscribe(request: SubscribeRequest): Promise<Subscriber>;
  formatErrors(error: unknown, correlationId: string): readonly GraphQLFormattedError[];
  readonly formatError: FormatError;
}
