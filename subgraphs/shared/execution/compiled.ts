import {
  type DocumentNode,
  type ExecutionResult,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  visit,
} from 'graphql';
import { CollectedErrors, type DocumentPlan, isPromise, type Run } from './compiled/run.ts';
import { compileRootSelection, executeSelection, executeSerially, type SelectionPlan } from './compiled/selection.ts';
import { compileVariables } from './compiled/variables.ts';

export interface ExecuteInput {
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
  readonly contextValue: unknown;
}

export interface CompiledOperation {
  readonly operationType: OperationTypeNode;
  /** Never rejects: what fails stands in `errors`. */
  execute(input: ExecuteInput): ExecutionResult | Promise<ExecutionResult>;
}

/** Variants (values of `@skip` and `@include`) kept per document before they are compiled anew. */
const maxVariants = 16;

/**
 * Compiles one operation of a valid document. Field collection, type dispatch, constant arguments and runtime types are
 * worked out once and kept; execution then follows graphql-js 16 (`execution/execute.js`) step by step, promise by
 * promise, so that data, errors and their order are the same.
 * @throws {GraphQLError} when the document has no such operation, or several and none is named.
 */
export function compileOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName?: string | null,
): CompiledOperation {
  const plan: DocumentPlan = {
    schema,
    operation: requireOperation(document, operationName),
    fragments: fragmentsOf(document),
  };
  const { operation } = plan;
  const conditions = conditionVariables(document);
  const coerceVariables = compileVariables(schema, operation.variableDefinitions ?? [], { maxErrors: 50 });
  const variants = new Map<string, SelectionPlan>();

  function selectionFor(variableValues: Record<string, unknown>): SelectionPlan {
    let key = '';
    for (const name of conditions) key += String(variableValues[name]);
    const known = variants.get(key);
    if (known) return known;
    const type = schema.getRootType(operation.operation);
    if (!type)
      throw new GraphQLError(`Schema is not configured to execute ${operation.operation} operation.`, {
        nodes: operation,
      });
    const selection = compileRootSelection(plan, type, variableValues);
    if (variants.size >= maxVariants) variants.clear();
    variants.set(key, selection);
    return selection;
  }

  return {
    operationType: operation.operation,
    execute({ variables, contextValue }) {
      const coerced = coerceVariables(variables ?? {});
      if (coerced.errors) return { errors: coerced.errors };
      const errors = new CollectedErrors();
      const run: Run = { document: plan, contextValue, variableValues: coerced.coerced, errors };
      const fail = (error: unknown): ExecutionResult => {
        errors.add(error as GraphQLError, undefined);
        return { errors: errors.list, data: null };
      };
      const answer = (data: Record<string, unknown>): ExecutionResult =>
        errors.list.length === 0 ? { data } : { errors: errors.list, data };
      try {
        const selection = selectionFor(run.variableValues);
        const data =
          operation.operation === OperationTypeNode.MUTATION
            ? executeSerially(run, selection, undefined)
            : executeSelection(run, selection, undefined, undefined);
        return isPromise(data) ? data.then(answer, fail) : answer(data);
      } catch (error) {
        return fail(error);
      }
    },
  };
}

function requireOperation(document: DocumentNode, operationName: string | null | undefined): OperationDefinitionNode {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operationName !== undefined && operationName !== null) {
    const named = operations.find((operation) => operation.name?.value === operationName);
    if (!named) throw new GraphQLError(`Unknown operation named "${operationName}".`);
    return named;
  }
  if (operations.length > 1)
    throw new GraphQLError('Must provide operation name if query contains multiple operations.');
  if (!operations[0]) throw new GraphQLError('Must provide an operation.');
  return operations[0];
}

function fragmentsOf(document: DocumentNode): Record<string, FragmentDefinitionNode> {
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
  return fragments;
}

/** Variables that decide which fields are executed: those of `@skip` and `@include`. */
function conditionVariables(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive(node) {
      if (node.name.value !== 'skip' && node.name.value !== 'include') return;
      for (const argument of node.arguments ?? [])
        if (argument.value.kind === Kind.VARIABLE) names.add(argument.value.name.value);
    },
  });
  return [...names];
}
