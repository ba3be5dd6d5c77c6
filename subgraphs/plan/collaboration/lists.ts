import type { ChildList } from '#shared/childPages.ts';
import type { ContributionRow, ContributionStatus, SessionRow } from './rows.ts';
import { contributionColumns, sessionColumns } from './store.ts';

/** Sessions of a plan, newest first. */
export function sessionsOfPlan(tenantId: string): ChildList<SessionRow> {
  return {
    list: 'planSessions',
    columns: sessionColumns,
    from: () => 'plan.session s',
    parent: { type: 'uuid', condition: 's.plan_id = k.parent' },
    sort: [
      { column: 's.created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt },
      { column: 's.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    descending: true,
    conditions: (parameters) => [`s.tenant_id = $${parameters.push(tenantId)}`],
  };
}

/** Contributions to a session, in the order in which they were made. */
export function contributionsOfSession(
  tenantId: string,
  status: readonly ContributionStatus[] | null,
): ChildList<ContributionRow> {
  return {
    list: 'planContributions',
    columns: contributionColumns,
    from: () => 'plan.contribution c',
    parent: { type: 'uuid', condition: 'c.session_id = k.parent' },
    sort: [{ column: 'c.ordinal', type: 'bigint', keyOf: ({ ordinal }) => ordinal }],
    conditions: (parameters) => [
      `c.tenant_id = $${parameters.push(tenantId)}`,
      ...(status === null ? [] : [`c.status = ANY($${parameters.push(status)}::text[])`]),
    ],
  };
}
