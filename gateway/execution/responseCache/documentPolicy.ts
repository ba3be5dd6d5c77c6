import type {
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  OperationDefinitionNode,
  SelectionSetNode,
} from 'graphql';
import { type FieldPolicies, type FieldPolicy, freePolicy, strictest } from './fieldPolicies.ts';

/** What holds for the answer of a whole document. */
export interface DocumentPolicy extends FieldPolicy {
  readonly operation: OperationDefinitionNode['operation'];
  /** A query all of whose fields may be kept for some time. */
  readonly cacheable: boolean;
  /** It is `_entities` alone, with its representations in a variable: each may be kept by itself. */
  readonly entities: boolean;
}

const uncacheable: FieldPolicy = { ...freePolicy, maxAgeSeconds: 0 };
const rootNames = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' } as const;

/**
 * Judges a document by every field it could select, whatever @skip and @include decide.
 * With a subgraph it is one the gateway sends there, with null one of a client.
 */
export function findDocumentPolicy(
  document: DocumentNode,
  policies: FieldPolicies,
  options: { subgraph: string | null; operationName?: string | null | undefined },
): DocumentPolicy | null {
  const { subgraph, operationName } = options;
  const operations = document.definitions.filter((node) => node.kind === 'OperationDefinition');
  const operation = operationName ? operations.find((node) => node.name?.value === operationName) : operations[0];
  if (!operation || (!operationName && operations.length > 1)) return null;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of document.definitions) if (node.kind === 'FragmentDefinition') fragments.set(node.name.value, node);
  const found: FieldPolicy[] = [];
  const visited = new Set<string>();

  function selections(set: SelectionSetNode, typeName: string): void {
    for (const selection of set.selections) {
      if (selection.kind === 'Field') field(selection, typeName);
      else if (selection.kind === 'InlineFragment') {
        condition(selection.selectionSet, typeName, selection.typeCondition?.name.value);
      } else {
        const fragment = fragments.get(selection.name.value);
        const place = `${selection.name.value} ${typeName}`;
        if (!fragment) found.push(uncacheable);
        else if (!visited.has(place)) {
          visited.add(place);
          condition(fragment.selectionSet, typeName, fragment.typeCondition.name.value);
        }
      }
    }
  }

  function condition(set: SelectionSetNode, typeName: string, narrowed: string | undefined): void {
    // Only here it shows which entities the subgraph is asked for.
    if (typeName === '_Entity' && narrowed && subgraph !== null) found.push(policies.entityPolicy(subgraph, narrowed));
    selections(set, narrowed ?? typeName);
  }

  function field(node: FieldNode, typeName: string): void {
    const name = node.name.value;
    if (subgraph !== null && typeName === 'Query' && name === '_entities') {
      if (node.selectionSet) selections(node.selectionSet, '_Entity');
      return;
    }
    if (name === '__typename') return;
    const policy = policies.fieldPolicy(subgraph, typeName, name);
    found.push(policy ?? uncacheable);
    const target = policies.typeOf(subgraph, typeName, name);
    if (node.selectionSet && target) selections(node.selectionSet, target);
  }

  selections(operation.selectionSet, rootNames[operation.operation]);
  const policy = strictest(found);
  return {
    ...policy,
    operation: operation.operation,
    cacheable: operation.operation === 'query' && (policy.maxAgeSeconds ?? 0) > 0,
    entities: isEntityFetch(operation),
  };
}

function isEntityFetch(operation: OperationDefinitionNode): boolean {
  const [only, ...others] = operation.selectionSet.selections;
  if (others.length > 0 || only?.kind !== 'Field' || only.name.value !== '_entities' || only.alias) return false;
  const argument = only.arguments?.[0];
  return argument?.value.kind === 'Variable' && argument.value.name.value === 'representations';
}
