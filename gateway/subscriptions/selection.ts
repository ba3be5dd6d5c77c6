import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  isAbstractType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  typeFromAST,
  visit,
} from 'graphql';

export type Variables = Readonly<Record<string, unknown>>;

export interface SelectionContext {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly variables: Variables;
}

export function fragmentsOf(document: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return fragments;
}

/** The operation of a document, or undefined where the name is needed and does not choose one. */
export function findOperation(document: DocumentNode, name?: string | null): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (name === undefined || name === null) return operations.length === 1 ? operations[0] : undefined;
  return operations.find((operation) => operation.name?.value === name);
}

/**
 * Fields that apply to one object type, by response name in the order they first appear
 * (GraphQL specification, October 2021, 6.3.2 CollectFields).
 */
export function collectFields(
  context: SelectionContext,
  type: GraphQLObjectType,
  selectionSets: Iterable<SelectionSetNode>,
): ReadonlyMap<string, readonly FieldNode[]> {
  const fields = new Map<string, FieldNode[]>();
  const visited = new Set<string>();
  for (const selectionSet of selectionSets) collect(selectionSet);
  return fields;

  function collect(selectionSet: SelectionSetNode): void {
    for (const selection of selectionSet.selections) {
      if (!isIncluded(selection, context.variables)) continue;
      if (selection.kind === Kind.FIELD) {
        const responseName = selection.alias?.value ?? selection.name.value;
        const nodes = fields.get(responseName);
        if (nodes === undefined) fields.set(responseName, [selection]);
        else nodes.push(selection);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        if (applies(selection.typeCondition?.name.value)) collect(selection.selectionSet);
      } else {
        const name = selection.name.value;
        const fragment = context.fragments.get(name);
        if (visited.has(name) || fragment === undefined) continue;
        visited.add(name);
        if (applies(fragment.typeCondition.name.value)) collect(fragment.selectionSet);
      }
    }
  }

  function applies(condition: string | undefined): boolean {
    if (condition === undefined || condition === type.name) return true;
    const conditionType = typeFromAST(context.schema, {
      kind: Kind.NAMED_TYPE,
      name: { kind: Kind.NAME, value: condition },
    });
    return isAbstractType(conditionType) && context.schema.isSubType(conditionType, type);
  }
}

/** A field of an object type as a selection asks for it. */
export interface PlannedField {
  readonly responseName: string;
  readonly fieldName: string;
  readonly nodes: readonly FieldNode[];
  readonly selectionSets: readonly SelectionSetNode[];
  readonly hasArguments: boolean;
  /** Undefined of `__typename`. */
  readonly type: GraphQLOutputType | undefined;
}

/** The fields that selections ask of an object type, in the order of the response. */
export function planFields(
  context: SelectionContext,
  type: GraphQLObjectType,
  selectionSets: Iterable<SelectionSetNode>,
): readonly PlannedField[] {
  const planned: PlannedField[] = [];
  for (const [responseName, nodes] of collectFields(context, type, selectionSets)) {
    const fieldName = nodes[0]?.name.value;
    if (fieldName === undefined) continue;
    const definition = type.getFields()[fieldName];
    // Validated documents name only what exists; a plan may name more than this type has behind an interface.
    if (definition === undefined && fieldName !== '__typename') continue;
    planned.push({
      responseName,
      fieldName,
      nodes,
      selectionSets: nodes.flatMap((node) => (node.selectionSet === undefined ? [] : [node.selectionSet])),
      hasArguments: nodes.some((node) => node.arguments !== undefined && node.arguments.length > 0),
      type: definition?.type,
    });
  }
  return planned;
}

function isIncluded(selection: SelectionNode, variables: Variables): boolean {
  if (selection.directives === undefined || selection.directives.length === 0) return true;
  if (getDirectiveValues(GraphQLSkipDirective, selection, variables)?.['if'] === true) return false;
  return getDirectiveValues(GraphQLIncludeDirective, selection, variables)?.['if'] !== false;
}

/** Names of the variables that decide what a document selects: those of `@skip` and `@include`. */
export function conditionVariables(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive(directive) {
      if (directive.name.value !== 'skip' && directive.name.value !== 'include') return;
      for (const { value } of directive.arguments ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}

/** Names of the variables used below these nodes, fragments followed. */
export function usedVariables(
  nodes: Iterable<OperationDefinitionNode | FieldNode>,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): ReadonlySet<string> {
  const used = new Set<string>();
  const visited = new Set<string>();
  const walk = (node: OperationDefinitionNode | FieldNode | FragmentDefinitionNode): void => {
    visit(node, {
      VariableDefinition: () => false,
      Variable: (variable) => {
        used.add(variable.name.value);
      },
      FragmentSpread: (spread) => {
        const name = spread.name.value;
        if (visited.has(name)) return;
        visited.add(name);
        const fragment = fragments.get(name);
        if (fragment !== undefined) walk(fragment);
      },
    });
  };
  for (const node of nodes) walk(node);
  return used;
}

/** Fragments spread below these nodes, directly or through others. */
export function usedFragments(
  nodes: Iterable<OperationDefinitionNode | FieldNode>,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): readonly FragmentDefinitionNode[] {
  const used = new Map<string, FragmentDefinitionNode>();
  const walk = (node: OperationDefinitionNode | FieldNode | FragmentDefinitionNode): void => {
    visit(node, {
      FragmentSpread: (spread) => {
        const fragment = fragments.get(spread.name.value);
        if (fragment === undefined || used.has(spread.name.value)) return;
        used.set(spread.name.value, fragment);
        walk(fragment);
      },
    });
  };
  for (const node of nodes) walk(node);
  return [...used.values()];
}
