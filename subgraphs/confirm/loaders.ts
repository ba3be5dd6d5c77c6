import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createRowLoader } from '#shared/loaders.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from './rows.ts';
import type { ConfirmService } from './service.ts';
import { findApproversOf, findDecisionsOf } from './store.ts';

export type ConfirmLoaders = ReturnType<typeof createConfirmLoaders>;

export function createConfirmLoaders({ sql, rows }: Pick<ConfirmService, 'sql' | 'rows'>, scope: RequestScope) {
  const { tenantId } = scope.principal;
  const tagOf = (id: string) => `Confirm:${id}`;
  return {
    confirm: createRowLoader<string, ConfirmRow>({
      scope,
      fetch: async (ids) =>
        (await Promise.all(ids.map((id) => rows.add({ tenantId, id })))).filter((row) => row !== null),
      keyOf: (row) => row.id,
      tagOf,
    }),
    approvers: createListLoader<string, ConfirmApproverRow>({
      scope,
      fetch: (ids) =>
        findApproversOf(
          sql,
          ids.map((id) => ({ tenantId, id })),
        ),
      keyOf: (row) => row.confirmId,
      tagOf,
    }),
    decisions: createListLoader<string, ConfirmDecisionRow>({
      scope,
      fetch: (ids) => findDecisionsOf(sql, tenantId, ids),
      keyOf: (row) => row.confirmId,
      tagOf,
    }),
  };
}
