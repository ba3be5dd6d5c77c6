import {
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  validate,
} from 'graphql';
import { compileOperation } from '#shared/execution/compiled.ts';
import type { FetchHooks } from './fetchHooks.ts';
import { asGatewayError } from './plan/errorPaths.ts';
import { incomingOperation, type PlanSource } from './plan/runPlan.ts';
import { compilePlanned } from './plannedOperation.ts';
import type { Planning } from './planning.ts';
import { compileRemote, type RemoteSubgraph } from './remoteDirect.ts';

/** An operation that is executed without ApolloGateway. */
export interface DirectOperation<Context> {
  readonly operation: OperationDefinitionNode;
  /** Whether no data source is asked: then only the loaders of this process know what it read, and nothing below keeps it. */
  readonly bypassesSources: boolean;
  /** As the gateway would answer; null where that is better asked: nothing has been changed then. */
  execute(
    variables: Readonly<Record<string, unknown>> | undefined,
    context: Context,
  ): Promise<ExecutionResult | null> | ExecutionResult | null;
}

export interface DirectExecutionOptions<Context extends object> extends Pick<FetchHooks<Context>, 'onFetch'> {
  readonly planning: Planning;
  /** Schemas of the subgraphs served in this process. */
  readonly schemas: ReadonlyMap<string, GraphQLSchema>;
  readonly contextFor: (subgraph: string, context: Context) => unknown;
  /** Sources of all subgraphs: with them queries of several fetches are executed too. @default only those of one are */
  readonly sources?: ReadonlyMap<string, PlanSource>;
  /** The subgraphs of other processes. @default none */
  readonly remotes?: ReadonlyMap<string, RemoteSubgraph>;
}

export interface DirectExecution<Context> {
  /** Null when the gateway has to execute it. */
  compile(document: DocumentNode, operationName: string | null): DirectOperation<Context> | null;
}

/**
 * Executes operations whose whole plan is one fetch to a subgraph, as the client wrote them. ApolloGateway
 * would build the operation's selections anew for each request, fetch, merge and shape the result once more; where there is
 * nothing to merge, the subgraph's own result is the answer.
 */
export function createDirectExecution<Context extends object>(
  options: DirectExecutionOptions<Context>,
): DirectExecution<Context> {
  const { planning, schemas, contextFor, onFetch } = options;
  return {
    compile(document, operationName) {
      const operation = findOperation(document, operationName);
      if (!operation || operation.operation === 'subscription' || asksForSchema(operation, document)) return null;
      const node = planOf(planning, document, operationName);
      if (node === null || node.kind === 'Subscription') return null;
      const planned = () =>
        options.sources === undefined
          ? null
          : compilePlanned<Context>({ planning, sources: options.sources, node, document, operation });
      if (node.kind !== 'Fetch' || node.requires !== undefined) return planned();
      const subgraph = node.serviceName;
      const remote = options.remotes?.get(subgraph);
      if (remote) return compileRemote<Context>(remote, { subgraph, document, operation }) ?? planned();
      const schema = schemas.get(subgraph);
      // The plan may narrow what the document says (types the subgraph does not know): then the plan's text is right.
      if (!schema || validate(schema, document).length > 0) return planned();
      const compiled = compileOperation(schema, document, operationName);
      return {
        operation,
        bypassesSources: true,
        execute(variables, context) {
          const startedAtMs = onFetch ? performance.now() : 0;
          const result = compiled.execute({ variables, contextValue: contextFor(subgraph, context) });
          const settle = (settled: ExecutionResult): ExecutionResult | null => {
            if (settled.data === undefined) return null;
            onFetch?.({
              subgraph,
              kind: incomingOperation,
              durationMs: performance.now() - startedAtMs,
              errors: settled.errors?.length ?? 0,
            });
            return settled.errors === undefined
              ? settled
              : { data: settled.data, errors: settled.errors.map((error) => asGatewayError(error, subgraph)) };
          };
          if (!('then' in result)) return settle(result);
          // Coercion of variables, the one thing that leaves no data, is over before anything is awaited.
          return result.then((settled) => settle(settled)!);
        },
      };
    },
  };
}

/** Null where the planner refuses: the gateway says so to the client. */
function planOf(planning: Planning, document: DocumentNode, operationName: string | null) {
  try {
    return planning.plan(document, operationName).node ?? null;
  } catch {
    return null;
  }
}

export function findOperation(
  document: DocumentNode,
  operationName: string | null | undefined,
): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  if (operationName) return operations.find((node) => node.name?.value === operationName);
  return operations.length === 1 ? operations[0] : undefined;
}

/** `__schema` and `__type` are answered from the whole graph's schema. */
export function asksForSchema(operation: OperationDefinitionNode, document: DocumentNode): boolean {
  const visited = new Set<string>();
  const asks = (set: SelectionSetNode): boolean =>
    set.selections.some((selection) => {
      if (selection.kind === Kind.FIELD)
        return selection.name.value === '__schema' || selection.name.value === '__type';
      if (selection.kind === Kind.INLINE_FRAGMENT) return asks(selection.selectionSet);
      const name = selection.name.value;
      if (visited.has(name)) return false;
      visited.add(name);
      const fragment = document.definitions.find(
        (node) => node.kind === Kind.FRAGMENT_DEFINITION && node.name.value === name,
      );
      return fragment?.kind === Kind.FRAGMENT_DEFINITION && asks(fragment.selectionSet);
    });
  return asks(operation.selectionSet);
}
