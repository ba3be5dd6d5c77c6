/** What a document has to contain. */
export type QueryNode =
  | { readonly kind: 'term'; readonly term: string }
  | { readonly kind: 'and'; readonly nodes: readonly QueryNode[] }
  | { readonly kind: 'or'; readonly nodes: readonly QueryNode[] }
  | { readonly kind: 'not'; readonly node: QueryNode }
  /** Matches nothing: there was no word in the query. */
  | { readonly kind: 'none' }
  /** Words in a place or of a beginning: the index keeps neither positions nor parts of words. */
  | { readonly kind: 'phrase' | 'prefix' | 'weighted' };

/** False for what only a reader of the texts could answer: phrases, prefixes, words of one weight. */
export function supportsQuery(node: QueryNode): boolean {
  switch (node.kind) {
    case 'term':
    case 'none':
      return true;
    case 'and':
    case 'or':
      return node.nodes.every(supportsQuery);
    case 'not':
      return supportsQuery(node.node);
    case 'phrase':
    case 'prefix':
    case 'weighted':
      return false;
  }
}

/** Terms a match is scored by, in the order in which the query names them: those outside of any NOT. */
export function scoredTerms(node: QueryNode): readonly string[] {
  const found = new Set<string>();
  const collect = (part: QueryNode): void => {
    if (part.kind === 'term') found.add(part.term);
    else if (part.kind === 'and' || part.kind === 'or') for (const child of part.nodes) collect(child);
  };
  collect(node);
  return [...found];
}
