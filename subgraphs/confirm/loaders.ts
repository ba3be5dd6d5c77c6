import DataLoader from 'dataloader';
import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import type { KeyedReader } from '#shared/keyedReader.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { keepVisible, keepVisibleConfirms, noteListAccess } from './access.ts';
import { auditBelow } from './auditTrail.ts';
import { decisionTag } from './events.ts';
import { countWaiting, type InboxFilterInput, inboxBelow } from './inbox.ts';
import { type ConfirmFilterInput, confirmsBelow } from './lists.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from './rows.ts';
import type { ConfirmService } from './service.ts';
import { type ConfirmKey, findDecisions } from './store.ts';

export type ConfirmLoaders = ReturnType<typeof createConfirmLoaders>;

export function createConfirmLoaders(
  {
    sql,
    keyedSql,
    learn,
    rows,
    approverLists,
    decisionLists,
  }: Pick<ConfirmService, 'sql' | 'keyedSql' | 'learn' | 'rows' | 'approverLists' | 'decisionLists'>,
  scope: RequestScope,
) {
  const { principal } = scope;
  const { tenantId } = principal;
  const listsOf = async <Item>(
    reader: KeyedReader<ConfirmKey, { readonly items: readonly Item[] | null }>,
    ids: readonly string[],
  ): Promise<readonly Item[]> =>
    (await Promise.all(ids.map((id) => reader.add({ tenantId, id })))).flatMap((found) => found?.items ?? []);
  const tagOf = (id: string) => `Confirm:${id}`;
  return {
    contextConfirms: createChildPageLoader(sql, (filter: ConfirmFilterInput) =>
      confirmsBelow('context_id', principal, filter),
    ),
    planConfirms: createChildPageLoader(sql, (filter: ConfirmFilterInput) =>
      confirmsBelow('plan_id', principal, filter),
    ),
    traceConfirms: createChildPageLoader(sql, (filter: ConfirmFilterInput) =>
      confirmsBelow('target_id', principal, { ...filter, targetType: ['trace'] }),
    ),
    auditTrails: createChildPageLoader(sql, () => auditBelow(tenantId)),
    inboxes: createChildPageLoader(sql, (filter: InboxFilterInput) => inboxBelow(principal, filter)),
    /** How many items wait for each subject, whatever a list of them shows. */
    waiting: new DataLoader<string, number>((subjects) => countWaiting(sql, principal, subjects)),
    confirm: createRowLoader<string, ConfirmRow>({
      scope,
      fetch: (ids) =>
        keepVisibleConfirms(keyedSql, scope, ids, {
          learn,
          read: Promise.all(ids.map((id) => rows.add({ tenantId, id }))).then((found) =>
            found.filter((row) => row !== null),
          ),
        }),
      keyOf: (row) => row.id,
      tagOf,
    }),
    decision: createRowLoader<string, ConfirmDecisionRow>({
      scope,
      fetch: async (ids) =>
        keepVisible(keyedSql, scope, await findDecisions(sql, tenantId, ids), {
          learn,
          confirmIdOf: ({ confirmId }) => confirmId,
        }),
      keyOf: (row) => row.id,
      tagOf: decisionTag,
    }),
    approvers: createListLoader<string, ConfirmApproverRow>({
      scope,
      fetch: (ids) => listsOf(approverLists, ids),
      keyOf: (row) => row.confirmId,
      tagOf,
    }),
    decisions: createListLoader<string, ConfirmDecisionRow>({
      scope,
      fetch: (ids) => listsOf(decisionLists, ids),
      keyOf: (row) => row.confirmId,
      tagOf,
    }),
    /** Marks what the request reads of lists as its reader's own where the tenant has private contexts. */
    listAccess: createPageLoader<'confirms', null>(async (keys) => {
      await noteListAccess(sql, scope);
      return keys.map(() => null);
    }),
  };
}
