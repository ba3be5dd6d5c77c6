import { type FieldNode, type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql';

type Info = Pick<GraphQLResolveInfo, 'fieldNodes' | 'fragments'>;

/** Compiled operations keep their field nodes, so that each selection is walked once. */
const known = new WeakMap<readonly FieldNode[], Map<string, ReadonlySet<string>>>();

/**
 * Names of the fields asked for below a resolver's own field, at any of the paths (`edges.node`, `nodes`; '' is the field
 * itself), by name and not by alias. What @skip and @include leave out counts as asked for.
 */
export function selectedFields(info: Info, ...paths: readonly string[]): ReadonlySet<string> {
  const byPath = known.get(info.fieldNodes) ?? new Map<string, ReadonlySet<string>>();
  known.set(info.fieldNodes, byPath);
  const key = paths.join('|');
  const found = byPath.get(key);
  if (found) return found;
  const names = new Set<string>();
  for (const path of paths)
    for (const node of descend(info, info.fieldNodes, path === '' ? [] : path.split('.')))
      for (const field of fieldsOf(info, node.selectionSet)) names.add(field.name.value);
  byPath.set(key, names);
  return names;
}

function descend(info: Info, nodes: readonly FieldNode[], path: readonly string[]): readonly FieldNode[] {
  return path.reduce(
    (level, name) =>
      level.flatMap((node) => fieldsOf(info, node.selectionSet).filter((field) => field.name.value === name)),
    nodes,
  );
}

function fieldsOf(info: Info, set: SelectionSetNode | undefined): readonly FieldNode[] {
  return (set?.selections ?? []).flatMap((selection): readonly FieldNode[] => {
    if (selection.kind === Kind.FIELD) return [selection];
    const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection : info.fragments[selection.name.value];
    return fieldsOf(info, inner?.selectionSet);
  });
}
