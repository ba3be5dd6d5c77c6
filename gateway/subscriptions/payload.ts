import type { FormattedExecutionResult } from 'graphql';
import {
  type DefinitionNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import type { FormatError } from './errors.ts';
import type { CompiledSubscription } from './operation.ts';
import type { PlanRun, SubscriptionPlanner } from './planner.ts';
import { compileProjector, type MissingFields, type Projector } from './projector.ts';
import type { ResultWriters } from './resultWriters.ts';
import { fragmentsOf, usedFragments, usedVariables, type Variables } from './selection.ts';

/** One result of one group: serialised once, encoded and framed for each transport at most once. */
export class Payload {
  /** Worth computing anew for the next who asks: what failed may work then. */
  readonly hasErrors: boolean;
  /** Of its UTF-8. */
  readonly byteLength: number;
  /** The event it tells of, where that is kept: whoever has it may go on behind it. */
  event: Pick<EventRow, 'streamId' | 'sequence'> | undefined;
  readonly #text: string;
  #bytes: Buffer | undefined;
  #latin1: string | undefined;
  #framed: Map<string, Buffer> | undefined;

  /** @param text of the result, as JSON */
  constructor(text: string, hasErrors: boolean) {
    this.hasErrors = hasErrors;
    this.byteLength = Buffer.byteLength(text);
    this.#text = text;
  }

  static of(result: FormattedExecutionResult): Payload {
    return new Payload(JSON.stringify(result), result.errors !== undefined);
  }

  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(this.#text);
    return this.#bytes;
  }

  /** The bytes as a string of one character each, for writers that put something else around them for every client. */
  get latin1(): string {
    // A character a byte is ASCII, whose bytes are its characters.
    this.#latin1 ??= this.byteLength === this.#text.length ? this.#text : this.bytes.toString('latin1');
    return this.#latin1;
  }

  /** As `frame` writes it, kept under `name`. */
  framed(name: string, frame: (payload: Payload) => Buffer): Buffer {
    this.#framed ??= new Map();
    let framed = this.#framed.get(name);
    if (framed === undefined) {
      framed = frame(this);
      this.#framed.set(name, framed);
    }
    return framed;
  }
}

export type CreateContext = () => object | Promise<object>;

export interface PayloadBuilderOptions {
  readonly planner: SubscriptionPlanner;
  readonly subscription: CompiledSubscription;
  readonly source: StreamSubscription;
  readonly variables: Variables;
  readonly writers: ResultWriters;
  readonly restTimeoutMs: number;
  readonly formatError: FormatError;
  /** The correlation id of a context. @default one of its own for each error */
  readonly correlationOf?: ((context: object) => string) | undefined;
}

/**
 * Compiles a subscription with its variables into event -> result. Without fetches the result is there at once;
 * a promise comes only where other subgraphs, or fields that the payload does not carry, are asked.
 */
export function createPayloadBuilder(options: PayloadBuilderOptions) {
  const { planner, subscription, source, variables, formatError } = options;
  const { plan } = subscription;
  const service = plan.primary.serviceName;
  const keyOf = (typeName: string, object: Readonly<Record<string, unknown>>): readonly string[] | undefined =>
    planner.keyOf(service, typeName, object);
  const canFetch = (typeName: string, object: Readonly<Record<string, unknown>>): boolean =>
    keyOf(typeName, object) !== undefined;
  const writeResult = plan.rest === undefined ? options.writers.of(subscription, variables) : undefined;
  let projectResponse: Projector | undefined;
  // The primary fetch differs from the client's selection: keys and type names that the rest needs, fields of others left out.
  const { document: primaryDocument, operation: primaryOperation } = subscription.primary;
  const primaryFragments = fragmentsOf(primaryDocument);
  let projectPrimary: Projector | undefined;

  const of = (event: EventRow | EphemeralEvent, payload: Payload): Payload => {
    if ('sequence' in event) payload.event = event;
    return payload;
  };
  return (event: EventRow | EphemeralEvent, createContext: CreateContext): Payload | Promise<Payload> => {
    const made = make(event, createContext);
    return made instanceof Promise ? made.then((payload) => of(event, payload)) : of(event, made);
  };

  function make(event: EventRow | EphemeralEvent, createContext: CreateContext): Payload | Promise<Payload> {
    try {
      const value = source.payload(event);
      if (writeResult !== undefined) {
        const text = writeResult(value);
        if (text !== undefined) return new Payload(text, false);
        projectResponse ??= compileProjector({
          schema: planner.apiSchema,
          document: subscription.document,
          operation: subscription.operation,
          variables,
          canFetch,
          nulls: 'spread',
        });
        const { data, errors, missing } = projectResponse(value);
        if (missing.length === 0) {
          return Payload.of(errors.length === 0 ? { data } : { errors: errors.map(toInternalError), data });
        }
      }
      return withDeadline(fetchRest(value, createContext), options.restTimeoutMs).catch(toFailure);
    } catch (error) {
      return toFailure(error);
    }
  }

  async function fetchRest(value: Readonly<Record<string, unknown>>, createContext: CreateContext): Promise<Payload> {
    const context = await createContext();
    projectPrimary ??= compileProjector({
      schema: planner.supergraphSchema,
      document: primaryDocument,
      operation: primaryOperation,
      variables,
      canFetch,
      nulls: 'keep',
    });
    const projection = projectPrimary(value);
    const run: PlanRun = {
      document: subscription.document,
      plan,
      variables,
      eventData: projection.data ?? {},
      context,
    };
    const errors = (await Promise.all(groupMissing(projection.missing).map((group) => fillMissing(group, run)))).flat();
    const result = await planner.execute(run);
    const allErrors = [...errors, ...(result.errors ?? [])];
    return Payload.of({
      ...(allErrors.length === 0
        ? {}
        : { errors: allErrors.map((error) => formatError(error, options.correlationOf?.(context))) }),
      data: result.data ?? null,
    });
  }

  /** Asks the owner for the fields of several objects with one `_entities` query and writes them into place. */
  async function fillMissing(group: readonly MissingFields[], run: PlanRun): Promise<readonly GraphQLError[]> {
    const first = group[0];
    if (first === undefined) return [];
    const nodes = first.fields.flat();
    const query = {
      kind: Kind.DOCUMENT,
      definitions: entitiesQuery(first.typeName, nodes, primaryOperation, primaryFragments),
    } as const;
    const used = usedVariables(nodes, primaryFragments);
    const representations = group.map(({ typeName, source: object }) => ({
      __typename: typeName,
      ...Object.fromEntries((keyOf(typeName, object) ?? []).map((field) => [field, object[field]])),
    }));
    const fetchVariables = {
      ...Object.fromEntries([...used].filter((name) => name in variables).map((name) => [name, variables[name]])),
      representations,
    };
    try {
      const { data, errors } = await planner.fetchEntities({ service, query, variables: fetchVariables, run });
      const entities: unknown = data?.['_entities'];
      for (const [index, missing] of group.entries()) {
        const entity: unknown = Array.isArray(entities) ? entities[index] : undefined;
        if (typeof entity === 'object' && entity !== null) Object.assign(missing.target, entity);
      }
      return (errors ?? []).map((error) => {
        const [root, index, ...inner] = error.path ?? [];
        const missing = root === '_entities' && typeof index === 'number' ? group[index] : first;
        return new GraphQLError(error.message, {
          path: [...(missing ?? first).path, ...inner],
          ...(error.extensions === undefined ? {} : { extensions: error.extensions }),
        });
      });
    } catch (error) {
      return [new GraphQLError('fetch failed', { path: first.path, originalError: toError(error) })];
    }
  }

  function toFailure(error: unknown): Payload {
    const located = new GraphQLError(toError(error).message, {
      path: [subscription.responseName],
      originalError: toError(error),
    });
    return Payload.of({ errors: [formatError(located)], data: null });
  }
}

export type BuildPayload = ReturnType<typeof createPayloadBuilder>;

/** Objects of one type that lack the same fields are asked for together. */
function groupMissing(missing: readonly MissingFields[]): readonly (readonly MissingFields[])[] {
  const groups = Map.groupBy(missing, ({ typeName, fields }) => {
    const names = fields.map(([node]) => node?.alias?.value ?? node?.name.value);
    // Different places of a document select different things under one name: the node itself tells them apart.
    return `${typeName}:${names.join()}:${fields.map(([node]) => node?.loc?.start).join()}`;
  });
  return [...groups.values()];
}

function entitiesQuery(
  typeName: string,
  nodes: readonly FieldNode[],
  operation: OperationDefinitionNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): DefinitionNode[] {
  const used = usedVariables(nodes, fragments);
  const name = (value: string) => ({ kind: Kind.NAME, value }) as const;
  const representations = { kind: Kind.VARIABLE, name: name('representations') } as const;
  return [
    {
      kind: Kind.OPERATION_DEFINITION,
      operation: OperationTypeNode.QUERY,
      variableDefinitions: [
        {
          kind: Kind.VARIABLE_DEFINITION,
          variable: representations,
          type: {
            kind: Kind.NON_NULL_TYPE,
            type: {
              kind: Kind.LIST_TYPE,
              type: { kind: Kind.NON_NULL_TYPE, type: { kind: Kind.NAMED_TYPE, name: name('_Any') } },
            },
          },
        },
        ...(operation.variableDefinitions ?? []).filter((definition) => used.has(definition.variable.name.value)),
      ],
      selectionSet: {
        kind: Kind.SELECTION_SET,
        selections: [
          {
            kind: Kind.FIELD,
            name: name('_entities'),
            arguments: [{ kind: Kind.ARGUMENT, name: name('representations'), value: representations }],
            selectionSet: {
              kind: Kind.SELECTION_SET,
              selections: [
                {
                  kind: Kind.INLINE_FRAGMENT,
                  typeCondition: { kind: Kind.NAMED_TYPE, name: name(typeName) },
                  selectionSet: { kind: Kind.SELECTION_SET, selections: nodes },
                },
              ],
            },
          },
        ],
      },
    },
    ...usedFragments(nodes, fragments),
  ];
}

async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      deadline.reject(
        new PlatformError('DEADLINE_EXCEEDED', `The fetches behind this event took longer than ${timeoutMs} ms.`),
      ),
    timeoutMs,
  );
  try {
    return await Promise.race([work, deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A payload that breaks its own schema is the module's fault: the message names the field and hides no secret. */
function toInternalError({ message, path }: { message: string; path: readonly (string | number)[] }) {
  return { message, path, extensions: { code: 'INTERNAL_ERROR', category: 'server', retryable: false } };
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
