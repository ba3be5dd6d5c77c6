import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createRowLoader } from '#shared/loaders.ts';
import type { Sql } from '#shared/sql.ts';
import { keepVisible, type Learn } from '../access.ts';
import { contributionsOfSession, sessionsOfPlan } from './lists.ts';
import type { ContributionRow, ContributionStatus, SessionRow, VoteRow } from './rows.ts';
import { findContributions, findSessions, findVotes } from './store.ts';

export function createCollaborationLoaders(
  { sql, learn }: { readonly sql: Sql; readonly learn: Learn },
  scope: RequestScope,
) {
  const { tenantId } = scope.principal;
  return {
    session: createRowLoader<string, SessionRow>({
      fetch: (ids) =>
        keepVisible(sql, scope, { table: 'session', ids, learn }, findSessions(sql, tenantId, ids), (row) => row.id),
      keyOf: (row) => row.id,
      tagOf: (id) => `PlanSession:${id}`,
      scope,
    }),
    /** Of those whose session the caller has been let into. */
    contribution: createRowLoader<string, ContributionRow>({
      fetch: (ids) => findContributions(sql, tenantId, ids),
      keyOf: (row) => row.id,
      scope,
    }),
    votes: createListLoader<string, VoteRow>({
      fetch: (ids) => findVotes(sql, tenantId, ids),
      keyOf: (row) => row.contributionId,
      scope,
    }),
    planSessions: createChildPageLoader(sql, () => sessionsOfPlan(tenantId)),
    contributions: createChildPageLoader(sql, (status: readonly ContributionStatus[] | null) =>
      contributionsOfSession(tenantId, status),
    ),
  };
}
