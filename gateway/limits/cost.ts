import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInterfaceType,
  isLeafType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  valueFromAST,
} from 'graphql';
import { rootWeights } from './weights.ts';

export type Variables = Readonly<Record<string, unknown>>;

/**
 * Cost of an operation before it runs: what its answer could hold at most, objects counted one each. A field costs its
 * weight and, once for each object of its list, the fields below it. A list is as long as its `first`, `last` or
 * `limit` says, or as its list of ids or inputs, or 10. Values are free.
 */
export interface OperationCost {
  /** @returns at least 1; Infinity never, since list lengths are bounded. */
  of(variables: Variables | undefined): number;
}

/** A list without a length of its own. */
const unsizedListLength = 10;
/** More than any list may be long, so that a silly number does not make the cost a silly one. */
const longestList = 10_000;
const objectWeight = 1;
const writeWeight = 10;

type Length = (variables: Variables) => number;

interface CostNode {
  readonly weight: number;
  /** Null: once. */
  readonly length: Length | null;
  /** Positions of earlier nodes. */
  readonly below: readonly number[];
}

/**
 * Compiles an operation to a list of nodes in which what is below comes first; a fragment spread in many places is one
 * node, so that neither compiling nor computing follows each spread anew.
 */
export function compileCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): OperationCost {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of document.definitions)
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  const defaults = new Map(
    (operation.variableDefinitions ?? []).flatMap((definition) =>
      definition.defaultValue === undefined
        ? []
        : [[definition.variable.name.value, plainValue(definition.defaultValue)]],
    ),
  );
  const nodes: CostNode[] = [];
  const spread = new Map<string, number | null>();

  const add = (node: CostNode): number => nodes.push(node) - 1;

  function selections(set: SelectionSetNode, parent: GraphQLNamedType, sized: boolean, isRoot: boolean): number[] {
    return set.selections.flatMap((selection) => {
      if (selection.kind === Kind.FIELD) {
        const made = field(selection, parent, sized, isRoot);
        return made === null ? [] : [made];
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const name = selection.typeCondition?.name.value;
        const type = name === undefined ? parent : (schema.getType(name) ?? parent);
        return selections(selection.selectionSet, type, sized, isRoot);
      }
      const made = fragmentNode(selection.name.value, parent, sized, isRoot);
      return made === null ? [] : [made];
    });
  }

  function fragmentNode(name: string, parent: GraphQLNamedType, sized: boolean, isRoot: boolean): number | null {
    const key = `${name} ${sized} ${isRoot}`;
    const known = spread.get(key);
    if (known !== undefined) return known;
    spread.set(key, null);
    const fragment = fragments.get(name);
    if (!fragment) return null;
    const type = schema.getType(fragment.typeCondition.name.value) ?? parent;
    const made = add({ weight: 0, length: null, below: selections(fragment.selectionSet, type, sized, isRoot) });
    spread.set(key, made);
    return made;
  }

  function field(node: FieldNode, parent: GraphQLNamedType, sized: boolean, isRoot: boolean): number | null {
    const definition =
      isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[node.name.value] : undefined;
    // Introspection is answered from memory.
    if (!definition) return isRoot ? add({ weight: objectWeight, length: null, below: [] }) : null;
    const type = getNamedType(definition.type);
    const ownWeight = isRoot ? rootWeight(definition.name) : isLeafType(type) ? 0 : objectWeight;
    if (!isCompositeType(type) || !node.selectionSet)
      return ownWeight === 0 ? null : add({ weight: ownWeight, length: lengthOf(node, definition, false), below: [] });
    const isConnection = type.name.endsWith('Connection');
    const isList = isListType(getNullableType(definition.type));
    // `edges` and `nodes` are as long as their connection says.
    const length =
      isConnection || (isList && !sized) ? lengthOf(node, definition, true) : lengthOf(node, definition, false);
    const below = selections(node.selectionSet, type, isConnection, false);
    if (length === null) return add({ weight: ownWeight, length: null, below });
    const each = add({ weight: 0, length, below });
    return add({ weight: ownWeight, length: null, below: [each] });
  }

  function rootWeight(name: string): number {
    return rootWeights[name] ?? (operation.operation === 'query' ? objectWeight : writeWeight);
  }

  /** The length its arguments say; otherwise, of a list, the default one. */
  function lengthOf(node: FieldNode, definition: GraphQLField<unknown, unknown>, isList: boolean): Length | null {
    const lengths: Length[] = [];
    for (const argument of definition.args) {
      const isCount = argument.name === 'first' || argument.name === 'last' || argument.name === 'limit';
      const type = getNullableType(argument.type);
      const isBatch = isListType(type) && !isEnumType(getNamedType(type));
      if (!(isCount && isList) && !isBatch) continue;
      const given = node.arguments?.find((candidate) => candidate.name.value === argument.name)?.value;
      const read = (value: unknown) =>
        Array.isArray(value) ? value.length : typeof value === 'number' && value > 0 ? value : null;
      if (given?.kind === Kind.VARIABLE) {
        const name = given.name.value;
        lengths.push((variables) => read(variables[name] ?? defaults.get(name)) ?? 0);
      } else if (given !== undefined) {
        const value = read(given.kind === Kind.LIST ? given.values : valueFromAST(given, argument.type));
        if (value !== null) lengths.push(() => value);
      } else if (isCount && typeof argument.defaultValue === 'number') {
        const value = argument.defaultValue;
        lengths.push(() => value);
      }
    }
    const usual = getNamedType(definition.type).name.endsWith('Connection') ? defaultPage : unsizedListLength;
    if (lengths.length === 0) return isList ? () => usual : null;
    return (variables) => {
      const longest = Math.max(...lengths.map((length) => length(variables)));
      return Math.min(longestList, longest > 0 ? longest : isList ? usual : 1);
    };
  }

  const root =
    operation.operation === 'query'
      ? schema.getQueryType()
      : operation.operation === 'mutation'
        ? schema.getMutationType()
        : schema.getSubscriptionType();
  const top = root ? selections(operation.selectionSet, root, false, true) : [];

  return {
    of(variables) {
      const values = variables ?? {};
      const costs: number[] = [];
      for (const node of nodes) {
        let sum = node.weight;
        for (const position of node.below) sum += costs[position]!;
        costs.push(node.length === null ? sum : sum * node.length(values));
      }
      let total = 0;
      for (const position of top) total += costs[position]!;
      return Math.max(1, Math.ceil(total));
    },
  };
}

/** Items of a connection that is not told how many. */
const defaultPage = 20;

function plainValue(node: Parameters<typeof valueFromAST>[0] & object): unknown {
  if (node.kind === Kind.INT) return Number(node.value);
  if (node.kind === Kind.LIST) return node.values;
  return undefined;
}
