import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import type { GatewayInterface } from '@apollo/server-gateway-interface';
import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLFormattedError,
  Kind,
  type OperationDefinitionNode,
  type ValidationRule,
} from 'graphql';
import { consistencyHeader, createConsistencyToken } from '#shared/cache/consistencyToken.ts';
import type { RequestScope } from '#shared/context.ts';
import { type ErrorCode, PlatformError } from '#shared/errors.ts';
import { hasScope } from '#shared/principal.ts';
import type { Logger, Metrics } from '#shared/telemetry.ts';
import type { AuditedAccess } from './auth/auditedAccess.ts';
import type { GatewayContext } from './context.ts';
import type { PersistedDocuments } from './documents/persistedDocuments.ts';
import { createErrorFormatter } from './errors.ts';
import { asksForSchema } from './execution/direct.ts';
import { rateLimitHeaders } from './limits/admission.ts';
import { toGraphQLError } from './limits/documentRule.ts';
import { costOf } from './limits/toll.ts';
import { outcomeOf } from './outcome.ts';

export interface ApolloOptions {
  readonly gateway: GatewayInterface;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told of what was refused to whoever asked. @default nobody is */
  readonly onDenied?: AuditedAccess['denied'] | undefined;
  /** Whether everybody may ask for the schema; otherwise `graph:introspect` lets one. */
  readonly introspection: boolean;
  readonly persisted: PersistedDocuments;
  /** Whether a document may be run at all for somebody from outside. */
  readonly isAdmitted: (source: string) => boolean;
  readonly maxTokens: number;
  /** Limits of documents beyond the specification's rules. */
  readonly validationRules: readonly ValidationRule[];
  /** Told of each document that passed validation. */
  readonly onValidated: (source: string, document: DocumentNode) => void;
}

/** Apollo Server around the gateway: parsing, validation, persisted queries, errors. */
export function createApollo(options: ApolloOptions): ApolloServer<GatewayContext> {
  const format = createErrorFormatter(options.logger);
  /** In which request an error arose: who formats it is told the error alone. */
  const correlations = new WeakMap<object, string>();
  return new ApolloServer<GatewayContext>({
    gateway: options.gateway,
    introspection: true,
    hideSchemaDetailsFromClientErrors: true,
    persistedQueries: { cache: underPrefix(options.persisted) },
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    includeStacktraceInErrorResponses: false,
    // Deeper nesting than this many tokens can make overflows the parser's stack.
    parseOptions: { maxTokens: options.maxTokens },
    validationRules: [...options.validationRules],
    formatError: (formatted, thrown) => format(formatted, thrown, correlations.get(thrown as object)),
    logger: options.logger,
    plugins: [
      noteCorrelation(correlations),
      refuseUnrunnable(),
      guardDocuments(options),
      takeToll(),
      noteOperations(options),
      reportWrites(),
      noteValidated(options.onValidated),
    ],
  });
}

/** As Apollo Server asks: it puts this before each hash, to tell them from what else might stand in a cache. */
const persistedPrefix = 'apq:';

function underPrefix(persisted: PersistedDocuments): Pick<PersistedDocuments, 'get' | 'set' | 'delete'> {
  const hashOf = (key: string) => (key.startsWith(persistedPrefix) ? key.slice(persistedPrefix.length) : key);
  return {
    get: (key) => persisted.get(hashOf(key)),
    set: (key, source) => persisted.set(hashOf(key), source),
    delete: (key) => persisted.delete(hashOf(key)),
  };
}

/** Root fields of an operation: known names, so that metric labels stay few. */
export function rootFields(operation: OperationDefinitionNode | undefined): readonly string[] {
  if (!operation) return [];
  return operation.selectionSet.selections.flatMap((selection) =>
    selection.kind === Kind.FIELD ? [selection.name.value] : [],
  );
}

const firstRootFields = new WeakMap<OperationDefinitionNode, string>();

export function firstRootField(operation: OperationDefinitionNode): string {
  let name = firstRootFields.get(operation);
  if (name === undefined) {
    name = rootFields(operation)[0] ?? 'none';
    firstRootFields.set(operation, name);
  }
  return name;
}

function noteCorrelation(correlations: WeakMap<object, string>): ApolloServerPlugin<GatewayContext> {
  return {
    requestDidStart: async () => ({
      async didEncounterErrors({ errors, contextValue: { scope } }) {
        for (const error of errors) correlations.set(error, scope.correlationId);
      },
    }),
  };
}

/** Refuses what no data source could run: a document without the operation asked for, and subscriptions. */
function refuseUnrunnable(): ApolloServerPlugin<GatewayContext> {
  return {
    requestDidStart: async () => ({
      async didResolveOperation({ operation, request }) {
        // Left to the gateway, this would look like a failure of ours.
        if (!operation) {
          throw refusal(
            'OPERATION_RESOLUTION_FAILURE',
            request.operationName
              ? `the document has no operation "${request.operationName}"`
              : 'expected operationName: the document has several operations',
          );
        }
        if (operation.operation === 'subscription') {
          throw refusal(
            'SUBSCRIPTION_TRANSPORT_REQUIRED',
            'send subscriptions over WebSocket (graphql-transport-ws), or with accept: text/event-stream or multipart/mixed;subscriptionSpec=1.0',
          );
        }
      },
    }),
  };
}

/** A PlatformError that Apollo Server answers with the status of its code. */
function refusal(code: ErrorCode, message: string): GraphQLError {
  return toGraphQLError(new PlatformError(code, message));
}

/** Refuses documents outside the list, where there is one, and questions about the schema of whoever may not ask them. */
function guardDocuments({
  introspection,
  isAdmitted,
}: Pick<ApolloOptions, 'introspection' | 'isAdmitted'>): ApolloServerPlugin<GatewayContext> {
  return {
    requestDidStart: async () => ({
      async didResolveOperation({ contextValue: { scope, toll }, source, document, operation }) {
        if (toll !== undefined && !isAdmitted(source))
          throw refusal('DOCUMENT_NOT_TRUSTED', 'expected one of the documents this platform was given');
        if (introspection || !operation || hasScope(scope.principal, 'graph:introspect')) return;
        if (asksForSchema(operation, document))
          throw refusal('PERMISSION_DENIED', 'the schema is told to who holds graph:introspect');
      },
    }),
  };
}

/** Callers from outside pay before their operation runs, unless the server took it from them already. */
function takeToll(): ApolloServerPlugin<GatewayContext> {
  return {
    requestDidStart: async () => ({
      async didResolveOperation({ contextValue: { toll }, document, operation, request }) {
        if (toll === undefined || toll.cost !== null || !operation) return;
        try {
          await toll.pay(document, operation, request.variables);
        } catch (error) {
          throw error instanceof PlatformError ? toGraphQLError(error) : error;
        }
      },
      async willSendResponse({ contextValue: { toll }, response }) {
        if (toll?.standing)
          for (const [name, value] of Object.entries(rateLimitHeaders(toll.standing)))
            response.http.headers.set(name, value);
        const cost = costOf(toll);
        if (cost === undefined || response.body.kind !== 'single') return;
        response.body.singleResult.extensions = { cost, ...response.body.singleResult.extensions };
      },
    }),
  };
}

function noteOperations({
  metrics,
  onDenied,
}: Pick<ApolloOptions, 'metrics' | 'onDenied'>): ApolloServerPlugin<GatewayContext> {
  return {
    async requestDidStart() {
      const beganMs = performance.now();
      return {
        async willSendResponse({ operation, response, contextValue }) {
          const errors = response.body.kind === 'single' ? response.body.singleResult.errors : undefined;
          if (onDenied) tellDenied(onDenied, { errors, operation, scope: contextValue.scope });
          noteOperation(metrics, { operation, errors, tookMs: performance.now() - beganMs, context: contextValue });
        },
      };
    },
  };
}

interface DeniedOptions {
  readonly errors: readonly GraphQLFormattedError[] | undefined;
  readonly operation: OperationDefinitionNode | undefined;
  readonly scope: RequestScope;
}

/** By the root field that an error lies under. */
export function tellDenied(onDenied: AuditedAccess['denied'], { errors, operation, scope }: DeniedOptions): void {
  for (const { path, extensions } of errors ?? []) {
    const code = extensions?.['code'];
    const place = operation && typeof path?.[0] === 'string' ? fieldAt(operation, path[0]) : null;
    if (typeof code === 'string') onDenied(scope, place ?? rootFields(operation)[0] ?? 'none', code);
  }
}

/** The field behind a name in the answer, which may be an alias: names of clients are none of the audit's. */
function fieldAt({ selectionSet }: OperationDefinitionNode, key: string): string | null {
  for (const selection of selectionSet.selections)
    if (selection.kind === Kind.FIELD && (selection.alias ?? selection.name).value === key) return selection.name.value;
  return null;
}

interface EndedOperation {
  readonly operation: OperationDefinitionNode | undefined;
  readonly errors: readonly GraphQLFormattedError[] | undefined;
  readonly tookMs: number;
  readonly context: GatewayContext;
}

/** Times an executed operation by its first root field, and leaves its outcome for whoever answers the client. */
export function noteOperation(metrics: Metrics, { operation, errors, tookMs, context }: EndedOperation): void {
  const name = operation ? firstRootField(operation) : 'none';
  metrics.operationMs.observe({ operation: name }, tookMs);
  context.ended.outcome = outcomeOf(name, errors);
}

/** A mutation's answer carries the token that lets its author read the change from any instance. */
function reportWrites(): ApolloServerPlugin<GatewayContext> {
  return {
    requestDidStart: async () => ({
      async willSendResponse({ contextValue, response }) {
        if (contextValue.scope.written.length === 0 || response.body.kind !== 'single') return;
        const token = createConsistencyToken(contextValue.scope.written);
        response.http.headers.set(consistencyHeader, token);
        response.body.singleResult.extensions = { ...response.body.singleResult.extensions, consistencyToken: token };
      },
    }),
  };
}

function noteValidated(onValidated: ApolloOptions['onValidated']): ApolloServerPlugin<GatewayContext> {
  return {
    requestDidStart: async () => ({
      async didResolveOperation({ source, document, operation }) {
        if (operation) onValidated(source, document);
      },
    }),
  };
}
