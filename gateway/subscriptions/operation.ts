import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  getArgumentValues,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  type SelectionSetNode,
  specifiedRules,
  type ValidationRule,
  validate,
  visit,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { StreamSubscription } from '#shared/events.ts';
import type { SubscriptionPlan, SubscriptionPlanner } from './planner.ts';
import {
  collectFields,
  conditionVariables,
  findOperation,
  fragmentsOf,
  usedFragments,
  usedVariables,
  type Variables,
} from './selection.ts';

export interface GraphQLRequest {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: Variables | null | undefined;
  readonly extensions?: Variables | null | undefined;
}

/** Whom the answer of an operation may differ between, from the `@auth` scopes of what it selects. */
export type OperationScope = 'TENANT' | 'ROLE' | 'SUBJECT';

export interface CompiledSubscription {
  readonly fieldName: string;
  readonly responseName: string;
  /** The operation without `after`, which says where a subscriber starts, not what it receives. */
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  /** Printed form of `document`: equal for equal subscriptions. */
  readonly text: string;
  readonly plan: SubscriptionPlan;
  /** Variables that decide what is selected. */
  readonly conditionVariables: readonly string[];
  /** The primary fetch of the plan, parsed. */
  readonly primary: { readonly document: DocumentNode; readonly operation: OperationDefinitionNode };
  readonly scope: OperationScope;
  readonly source: StreamSubscription;
}

export interface SubscriptionOperation {
  readonly kind: 'subscription';
  /** As the client sent it. */
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly compiled: CompiledSubscription;
}

export interface OtherOperation {
  readonly kind: 'query' | 'mutation';
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
}

export interface OperationCatalogDeps {
  readonly planner: SubscriptionPlanner;
  readonly subscriptions: Readonly<Record<string, StreamSubscription>>;
  scopeOf(document: DocumentNode): OperationScope;
  /** Rules beside those of the specification, such as depth and alias limits. */
  readonly validationRules?: readonly ValidationRule[];
  readonly maxDocumentTokens: number;
  readonly operationCacheSize: number;
}

/** Parses, validates, normalises and plans operations, and keeps what it made of each text. */
export function createOperationCatalog(deps: OperationCatalogDeps) {
  const { planner, subscriptions } = deps;
  const rules = [...specifiedRules, ...(deps.validationRules ?? [])];
  const cache = new LRUCache<string, SubscriptionOperation | OtherOperation>({ max: deps.operationCacheSize });

  const keyOf = ({ query, operationName }: GraphQLRequest) => `${operationName ?? ''}\n${query}`;

  return {
    /** What was made of the text already. */
    find: (request: GraphQLRequest) => cache.get(keyOf(request)),
    /**
     * Queries and mutations are only parsed here: whoever executes them validates them.
     * @throws {GraphQLError} GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED or OPERATION_RESOLUTION_FAILURE.
     */
    prepare(request: GraphQLRequest): SubscriptionOperation | OtherOperation {
      const { query, operationName } = request;
      const cacheKey = keyOf(request);
      const cached = cache.get(cacheKey);
      if (cached !== undefined) return cached;
      const document = parseDocument(query);
      const operation = findOperation(document, operationName);
      if (operation === undefined) {
        throw codedError('OPERATION_RESOLUTION_FAILURE', 'The document holds no single operation of that name.');
      }
      const prepared: SubscriptionOperation | OtherOperation =
        operation.operation === 'subscription'
          ? { kind: 'subscription', document, operation, compiled: compile(document, operation) }
          : { kind: operation.operation, document, operation };
      cache.set(cacheKey, prepared);
      return prepared;
    },
  };

  function parseDocument(query: string): DocumentNode {
    try {
      return parse(query, { maxTokens: deps.maxDocumentTokens });
    } catch (error) {
      if (error instanceof GraphQLError) throw codedError('GRAPHQL_PARSE_FAILED', error.message, error);
      // Deep nesting within the token limit may still overflow the parser's stack.
      throw codedError('GRAPHQL_PARSE_FAILED', 'The document cannot be parsed.');
    }
  }

  function compile(sent: DocumentNode, sentOperation: OperationDefinitionNode): CompiledSubscription {
    const errors = validate(planner.apiSchema, sent, rules);
    if (errors.length > 0) throw new ValidationFailure(errors);
    const rootNode = rootFieldNode(planner, sent, sentOperation);
    const fieldName = rootNode.name.value;
    const source = subscriptions[fieldName];
    if (source === undefined) {
      throw codedError(
        'GRAPHQL_VALIDATION_FAILED',
        `Subscription.${fieldName} is not served by this gateway.`,
        rootNode,
      );
    }
    const document = normalise(sent, sentOperation, fieldName);
    const operation = findOperation(document);
    if (operation === undefined) throw new Error('The normalised document holds one operation.');
    const plan = planner.plan(document);
    const primaryDocument = plan.primary.operationDocumentNode ?? parse(plan.primary.operation);
    const primaryOperation = findOperation(primaryDocument);
    if (primaryOperation === undefined) throw new Error('A primary fetch holds one operation.');
    return {
      fieldName,
      responseName: rootNode.alias?.value ?? fieldName,
      document,
      operation,
      text: print(document),
      plan,
      conditionVariables: conditionVariables(document),
      primary: { document: primaryDocument, operation: primaryOperation },
      scope: deps.scopeOf(document),
      source,
    };
  }
}

export type OperationCatalog = ReturnType<typeof createOperationCatalog>;

export interface CoercedSubscription {
  readonly variables: Variables;
  /** Arguments of the root field, `after` included. */
  readonly args: Variables;
}

/**
 * Coerces variables and root arguments.
 * @throws {GraphQLError} BAD_USER_INPUT when they do not fit their types.
 */
export function coerceSubscription(
  planner: SubscriptionPlanner,
  { document, operation }: Pick<SubscriptionOperation, 'document' | 'operation'>,
  inputs: Variables | null | undefined,
): CoercedSubscription {
  const { coerced, errors } = getVariableValues(planner.apiSchema, operation.variableDefinitions ?? [], inputs ?? {}, {
    maxErrors: 20,
  });
  if (errors !== undefined)
    throw new ValidationFailure(errors.map((error) => codedError('BAD_USER_INPUT', error.message, error)));
  const node = rootFieldNode(planner, document, operation);
  const definition = planner.apiSchema.getSubscriptionType()?.getFields()[node.name.value];
  if (definition === undefined) throw new Error(`Subscription.${node.name.value} was validated before.`);
  try {
    return { variables: coerced, args: getArgumentValues(definition, node, coerced) };
  } catch (error) {
    throw codedError('BAD_USER_INPUT', error instanceof Error ? error.message : String(error), node);
  }
}

/** Several errors that one operation earned together. */
export class ValidationFailure extends Error {
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super(errors.map((error) => error.message).join('; '));
    this.name = 'ValidationFailure';
    this.errors = errors.map((error) =>
      error.extensions['code'] === undefined ? codedError('GRAPHQL_VALIDATION_FAILED', error.message, error) : error,
    );
  }
}

function codedError(code: string, message: string, at?: GraphQLError | FieldNode): GraphQLError {
  const extensions = { code, category: 'client', retryable: false };
  if (at === undefined) return new GraphQLError(message, { extensions });
  if (at instanceof GraphQLError) {
    return new GraphQLError(message, {
      extensions,
      ...(at.source === undefined ? {} : { source: at.source }),
      ...(at.positions === undefined ? {} : { positions: at.positions }),
    });
  }
  return new GraphQLError(message, { extensions, nodes: at });
}

function rootFieldNode(
  planner: SubscriptionPlanner,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): FieldNode {
  const type = planner.apiSchema.getSubscriptionType();
  if (type === undefined || type === null)
    throw codedError('GRAPHQL_VALIDATION_FAILED', 'The graph has no subscriptions.');
  const refuse = (message: string): never => {
    throw codedError('GRAPHQL_VALIDATION_FAILED', message);
  };
  // Without variables: a root field that a condition can remove would leave a subscription to nothing.
  assertUnconditional(operation.selectionSet, fragmentsOf(document), refuse);
  const fields = collectFields({ schema: planner.apiSchema, fragments: fragmentsOf(document), variables: {} }, type, [
    operation.selectionSet,
  ]);
  const node = [...fields.values()][0]?.[0];
  return node ?? refuse('A subscription selects one root field.');
}

function assertUnconditional(
  selectionSet: SelectionSetNode,
  fragments: ReturnType<typeof fragmentsOf>,
  refuse: (message: string) => never,
): void {
  for (const selection of selectionSet.selections) {
    if (selection.directives?.some(({ name }) => name.value === 'skip' || name.value === 'include')) {
      refuse('@skip and @include cannot stand at the root of a subscription.');
    }
    if (selection.kind === Kind.INLINE_FRAGMENT) assertUnconditional(selection.selectionSet, fragments, refuse);
    if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const fragment = fragments.get(selection.name.value);
      if (fragment !== undefined) assertUnconditional(fragment.selectionSet, fragments, refuse);
    }
  }
}

/** One operation, the fragments it uses, no `after` on the root field and no variable that only `after` used. */
function normalise(document: DocumentNode, operation: OperationDefinitionNode, fieldName: string): DocumentNode {
  let depth = 0;
  const withoutAfter = <T extends OperationDefinitionNode | DocumentNode>(node: T): T =>
    visit(node, {
      Field: {
        enter(field) {
          depth++;
          if (depth > 1 || field.name.value !== fieldName) return undefined;
          const kept = (field.arguments ?? []).filter((argument: ArgumentNode) => argument.name.value !== 'after');
          return { ...field, arguments: kept };
        },
        leave() {
          depth--;
        },
      },
    });
  const fragments = new Map(fragmentsOf(document));
  const subscriptionFragments = usedFragments([operation], fragments);
  for (const fragment of subscriptionFragments) {
    const onRoot = fragment.typeCondition.name.value === 'Subscription';
    if (!onRoot) continue;
    const [rewritten] = withoutAfter({ kind: Kind.DOCUMENT, definitions: [fragment] }).definitions;
    if (rewritten?.kind === Kind.FRAGMENT_DEFINITION) fragments.set(fragment.name.value, rewritten);
  }
  const rewritten = withoutAfter(operation);
  const used = usedVariables([rewritten], fragments);
  return {
    kind: Kind.DOCUMENT,
    definitions: [
      {
        ...rewritten,
        variableDefinitions: (rewritten.variableDefinitions ?? []).filter((definition) =>
          used.has(definition.variable.name.value),
        ),
      },
      ...usedFragments([rewritten], fragments),
    ],
  };
}

/** Only the variables the normalised operation has, in its order: part of what makes two subscriptions one. */
export function relevantVariables({ operation }: CompiledSubscription, variables: Variables): Variables {
  const relevant: Record<string, unknown> = {};
  for (const { variable } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    if (name in variables) relevant[name] = variables[name];
  }
  return relevant;
}
