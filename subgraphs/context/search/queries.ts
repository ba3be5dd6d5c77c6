import { createLru } from '#shared/lru.ts';
import { parseTsquery, type QueryNode } from '#shared/searchIndex/index.ts';
import type { Sql } from '#shared/sql.ts';

const maxQueries = 5_000;
/** Nothing but words of ASCII letters: each is a lexeme in lower case, and all have to be there. */
const plainWords = /^[a-z]+(?: [a-z]+)*$/i;

/** Reads what people type the way PostgreSQL does. */
export interface SearchQueries {
  parse(query: string): QueryNode | Promise<QueryNode>;
}

/** Asks PostgreSQL, once per query text; plain words need not be asked about. */
export function createSearchQueries(sql: Sql): SearchQueries {
  const known = createLru<QueryNode>(maxQueries);

  async function ask(query: string): Promise<QueryNode> {
    const [row] = (await sql.unsafe(`SELECT websearch_to_tsquery('simple', $1)::text AS parsed`, [query], {
      prepare: true,
    })) as unknown as { parsed: string }[];
    const node = parseTsquery(row!.parsed);
    known.set(query, node);
    return node;
  }

  return {
    parse(query) {
      const found = known.get(query);
      if (found) return found;
      const words = plainWords.test(query) ? query.toLowerCase().split(' ') : null;
      if (words === null || words.includes('or')) return ask(query);
      const nodes = words.map((term): QueryNode => ({ kind: 'term', term }));
      return nodes.length === 1 ? nodes[0]! : { kind: 'and', nodes };
    },
  };
}
