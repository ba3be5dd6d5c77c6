import type { ChildPageLoader } from '#shared/childPages.ts';
import type { Connection, PageInput } from '#shared/connection.ts';
import { readStatus } from '../lists.ts';

/** A page of rows as a page of what resolvers hand on. */
export function viewOf<Row, View>({ edges, pageInfo }: Connection<Row>, view: (row: Row) => View) {
  const shown = edges.map(({ cursor, node }) => ({ cursor, node: view(node) }));
  return { edges: shown, nodes: shown.map(({ node }) => node), pageInfo };
}

export type StatusPage = PageInput & { readonly status?: readonly string[] | null | undefined };

/** A page below a parent, by status. @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
export async function pageBelow<Row, View>(
  loader: ChildPageLoader<readonly string[] | null, Row>,
  parent: string,
  { status, ...page }: StatusPage,
  view: (row: Row) => View,
) {
  const found = await loader.load(parent, readStatus(status), page);
  return { ...viewOf(found, view), count: () => found.count() };
}

const nothing = { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null };

/** What is below something that is not there. */
export const emptyPage = () => ({ edges: [], nodes: [], pageInfo: nothing, count: async () => 0 });
