import { type DocumentNode, type FieldNode, Kind, parse, print, type SelectionSetNode } from 'graphql';
import { digest } from './cacheKey.ts';
import { type DocumentPolicy, findDocumentPolicy } from './documentPolicy.ts';
import type { FieldPolicies } from './fieldPolicies.ts';

/** A place of an answer where rows of one type stand, and how one of them is asked for by its id. */
export interface RowPlace {
  /** Keys of the answer that lead to the rows; the lists on the way do not count. */
  readonly path: readonly string[];
  readonly typeName: string;
  /** `_entities` with the fields that the list shows of each. */
  readonly text: string;
  readonly document: DocumentNode;
  readonly policy: DocumentPolicy;
  readonly hash: string;
}

/** A query for a list that may be kept as the ids of its rows. */
export type ListPlan = readonly RowPlace[];

/** Types that carry a list and nothing else: what they say beside it is of the list, not of its rows. */
const carriers = /(?:Connection|Edge|PageInfo)$/;

/**
 * Finds the rows of a list that are asked for by fields of their rows alone, their ids among them. Null for every query
 * that is more than one such list: whatever else stood in the answer could depend on the same rows, and would have to
 * become stale with them.
 */
export function findListPlan(document: DocumentNode, policies: FieldPolicies, subgraph: string): ListPlan | null {
  const [operation, ...others] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION || operation.operation !== 'query' || others.length > 0)
    return null;
  const [root, ...further] = operation.selectionSet.selections;
  if (root?.kind !== Kind.FIELD || root.name.value === '_entities' || further.length > 0) return null;
  const places: RowPlace[] = [];

  /** False where something stands that forbids it. */
  function walk(
    node: FieldNode,
    typeName: string,
    { path, listed }: { path: readonly string[]; listed: boolean },
  ): boolean {
    const name = node.name.value;
    if ((node.directives?.length ?? 0) > 0) return false;
    const target = policies.typeOf(subgraph, typeName, name);
    if (target === undefined) return name === '__typename';
    const at = {
      path: [...path, node.alias?.value ?? name],
      listed: listed || policies.isList(subgraph, typeName, name),
    };
    if (!node.selectionSet) return true;
    const rowFields = policies.rowFields(subgraph, target);
    if (rowFields === undefined) {
      if (!carriers.test(target)) return false;
      return node.selectionSet.selections.every((each) => each.kind === Kind.FIELD && walk(each, target, at));
    }
    if (!at.listed || !showsRows(node.selectionSet, rowFields)) return false;
    const place = toPlace(at.path, target, node.selectionSet);
    if (place !== null) places.push(place);
    return place !== null;
  }

  function toPlace(path: readonly string[], typeName: string, shown: SelectionSetNode): RowPlace | null {
    const text = print(
      parse(
        `query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on ${typeName} ${print(shown)} } }`,
      ),
    );
    const parsed = parse(text);
    const policy = findDocumentPolicy(parsed, policies, { subgraph });
    if (!policy?.cacheable || policy.scope === 'SUBJECT') return null;
    return { path, typeName, text, document: parsed, policy, hash: entityHash(parsed) };
  }

  return walk(root, 'Query', { path: [], listed: false }) && places.length > 0 ? places : null;
}

/** Whether an `_entities` fetch asks for one type by fields of its rows alone. */
export function asksForRows(document: DocumentNode, policies: FieldPolicies, subgraph: string): boolean {
  const [operation, ...others] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION || others.length > 0) return false;
  const [entities] = operation.selectionSet.selections;
  if (entities?.kind !== Kind.FIELD) return false;
  const [shown, ...further] = entities.selectionSet?.selections ?? [];
  if (shown?.kind !== Kind.INLINE_FRAGMENT || further.length > 0 || !shown.typeCondition) return false;
  const rowFields = policies.rowFields(subgraph, shown.typeCondition.name.value);
  return rowFields !== undefined && areOfRow(shown.selectionSet, rowFields);
}

/** The same for `_entities` fetches that ask for the same fields, whatever their operations are called. */
export function entityHash(document: DocumentNode): string {
  const definitions = document.definitions.map((node) => {
    if (node.kind !== Kind.OPERATION_DEFINITION) return node;
    const { name: _name, ...rest } = node;
    return rest;
  });
  return digest(print({ ...document, definitions }));
}

function showsRows(set: SelectionSetNode, rowFields: ReadonlySet<string>): boolean {
  const hasId = set.selections.some(
    (each) => each.kind === Kind.FIELD && each.name.value === 'id' && each.alias === undefined,
  );
  return hasId && areOfRow(set, rowFields);
}

function areOfRow(set: SelectionSetNode, rowFields: ReadonlySet<string>): boolean {
  return (
    set.selections.every(
      (each) => each.kind === Kind.FIELD && (each.name.value === '__typename' || rowFields.has(each.name.value)),
    ) && !print(set).includes('$')
  );
}
