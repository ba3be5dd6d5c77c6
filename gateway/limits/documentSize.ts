import { type DocumentNode, type FragmentDefinitionNode, Kind, type SelectionSetNode } from 'graphql';

/** Size of the largest operation of a document; fragments count as often as they are spread. */
export interface DocumentSize {
  /** Fields on the longest way from the root, the root field included; what introspection asks for counts as one. */
  readonly depth: number;
  readonly aliases: number;
  readonly rootFields: number;
  readonly directives: number;
}

const nothing: DocumentSize = Object.freeze({ depth: 0, aliases: 0, rootFields: 0, directives: 0 });

/**
 * Measures a document before it is validated. Each fragment is measured once, whatever spreads it: twenty fragments
 * that spread the next twice are a million fields to whoever expands them. Spreads that lead back into themselves, which
 * validation refuses, count as nothing.
 */
export function measureDocument(document: DocumentNode): DocumentSize {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of document.definitions)
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  const measured = new Map<string, DocumentSize>();

  function ofFragment(name: string): DocumentSize {
    const known = measured.get(name);
    if (known) return known;
    measured.set(name, nothing);
    const fragment = fragments.get(name);
    const size = fragment ? ofSelections(fragment.selectionSet, fragment.directives?.length ?? 0) : nothing;
    measured.set(name, size);
    return size;
  }

  function ofSelections(set: SelectionSetNode, ownDirectives: number): DocumentSize {
    let [depth, aliases, rootFields, directives] = [0, 0, 0, ownDirectives];
    for (const selection of set.selections) {
      directives += selection.directives?.length ?? 0;
      if (selection.kind !== Kind.FIELD) {
        const inner =
          selection.kind === Kind.FRAGMENT_SPREAD
            ? ofFragment(selection.name.value)
            : ofSelections(selection.selectionSet, 0);
        depth = Math.max(depth, inner.depth);
        aliases += inner.aliases;
        rootFields += inner.rootFields;
        directives += inner.directives;
        continue;
      }
      rootFields += 1;
      if (selection.alias !== undefined) aliases += 1;
      const inner = selection.selectionSet ? ofSelections(selection.selectionSet, 0) : nothing;
      aliases += inner.aliases;
      directives += inner.directives;
      // graphql-js bounds how often introspection may go from types to fields and back.
      const isIntrospection = selection.name.value === '__schema' || selection.name.value === '__type';
      depth = Math.max(depth, 1 + (isIntrospection ? 0 : inner.depth));
    }
    return { depth, aliases, rootFields, directives };
  }

  let largest = nothing;
  for (const node of document.definitions) {
    if (node.kind !== Kind.OPERATION_DEFINITION) continue;
    const size = ofSelections(node.selectionSet, node.directives?.length ?? 0);
    largest = {
      depth: Math.max(largest.depth, size.depth),
      aliases: Math.max(largest.aliases, size.aliases),
      rootFields: Math.max(largest.rootFields, size.rootFields),
      directives: Math.max(largest.directives, size.directives),
    };
  }
  return largest;
}
