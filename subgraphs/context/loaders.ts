import DataLoader from 'dataloader';
import type { RequestScope } from '#shared/context.ts';
import { createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { keepVisible } from './access.ts';
import {
  type ChildList,
  type ChildPageKey,
  countChildren,
  findChildren,
  findMetadataVersions,
  findSharedStates,
  loadChildPages,
  metadataList,
  participantList,
  sessionList,
  versionList,
} from './children.ts';
import type { ChildListKey, ContextRow } from './rows.ts';
import type { ContextService } from './service.ts';

export type ContextLoaders = ReturnType<typeof createContextLoaders>;

export function createContextLoaders(
  { sql, lists, rows }: Pick<ContextService, 'sql' | 'lists' | 'rows'>,
  scope: RequestScope,
) {
  const { tenantId } = scope.principal;

  const context = createRowLoader<string, ContextRow>({
    scope,
    async fetch(ids) {
      const found = await Promise.all(ids.map((id) => rows.add({ tenantId, id })));
      return keepVisible(
        sql,
        scope,
        found.filter((row) => row !== null),
      );
    },
    keyOf: (row) => row.id,
    tagOf: (id) => `Context:${id}`,
  });

  /** Rows of a kind by id; those of a context that the caller does not see are as if they were not. */
  const childById = <Row extends { readonly id: string; readonly contextId: string }>(
    kind: ChildList<Row>,
    typeName: string,
  ) =>
    createRowLoader<string, Row>({
      scope,
      async fetch(ids) {
        const rows = await findChildren(sql, tenantId, kind, ids);
        const parents = await Promise.all(rows.map((row) => context.load(row.contextId)));
        return rows.filter((_row, index) => parents[index] !== null);
      },
      keyOf: (row) => row.id,
      tagOf: (id) => `${typeName}:${id}`,
    });

  const pages = <Row extends { readonly contextId: string }>(kind: ChildList<Row>) =>
    createPageLoader((keys: readonly ChildPageKey[]) => loadChildPages(sql, scope, kind, keys));
  const totals = <Row>(kind: ChildList<Row>) =>
    createPageLoader((keys: readonly ChildListKey[]) => countChildren(sql, scope, kind, keys));

  return {
    context,
    participant: childById(participantList, 'ContextParticipant'),
    session: childById(sessionList, 'ContextSession'),
    participantPages: pages(participantList),
    sessionPages: pages(sessionList),
    metadataPages: pages(metadataList),
    versionPages: pages(versionList),
    participantTotals: totals(participantList),
    sessionTotals: totals(sessionList),
    metadataTotals: totals(metadataList),
    versionTotals: totals(versionList),
    metadataVersions: createPageLoader((keys: readonly { readonly contextId: string; readonly key: string }[]) =>
      findMetadataVersions(sql, tenantId, keys),
    ),
    sharedState: new DataLoader((contextIds: readonly string[]) => {
      for (const id of contextIds) scope.readTags.add(`Context:${id}`);
      return findSharedStates(sql, tenantId, contextIds);
    }),
    snippets: createPageLoader(async (keys: readonly { readonly query: string; readonly id: string }[]) => {
      const byQuery = Map.groupBy(keys, ({ query }) => query);
      const found = new Map<string, ReadonlyMap<string, string>>();
      await Promise.all(
        [...byQuery].map(async ([query, group]) =>
          found.set(
            query,
            await lists.snippets(
              scope,
              query,
              group.map(({ id }) => id),
            ),
          ),
        ),
      );
      return keys.map(({ query, id }) => found.get(query)?.get(id) ?? null);
    }),
  };
}
