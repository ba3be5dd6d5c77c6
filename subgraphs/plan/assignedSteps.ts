import { type Connection, createConnection, readPage } from '#shared/connection.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import { viewerOf, visibleCondition } from './access.ts';
import type { PlanStepRow } from './rows.ts';
import { stepColumns } from './store.ts';

/** Steps that a subject is assigned to or has claimed, plan by plan. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listAssignedSteps(
  sql: Sql,
  { principal, readTags }: Pick<RequestScope, 'principal' | 'readTags'>,
  subject: string,
  input: {
    readonly status?: readonly string[] | null | undefined;
    readonly first?: number | null | undefined;
    readonly after?: string | null | undefined;
  },
): Promise<Connection<PlanStepRow>> {
  const page = readPage('assignedSteps', 2, { first: input.first, after: input.after });
  const [planId = null, id = null] = page.from ?? [];
  if (page.from !== null && !(isId(planId) && isId(id)))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  readTags.add(subjectBoundTag);
  const rows = (await sql.unsafe(
    `WITH mine AS (
       SELECT a.plan_id, a.id FROM plan.step a WHERE a.tenant_id = $1 AND a.assigned_agents @> ARRAY[$2::text] AND a.assigned_agents <> '{}'
       UNION SELECT t.plan_id, t.step_id FROM plan.step_execution t WHERE t.tenant_id = $1 AND t.lease_subject = $2)
     SELECT ${stepColumns} FROM mine m JOIN plan.step s ON s.tenant_id = $1 AND s.plan_id = m.plan_id AND s.id = m.id
     JOIN plan.plan p ON p.tenant_id = s.tenant_id AND p.id = s.plan_id
     WHERE ($3::text IS NULL OR ${visibleCondition('p', '$3')}) AND ($4::text[] IS NULL OR s.status = ANY($4))
       AND ($5::uuid IS NULL OR (s.plan_id, s.id) > ($5::uuid, $6::uuid))
     ORDER BY s.plan_id, s.id LIMIT $7`,
    [
      principal.tenantId,
      subject,
      viewerOf(principal),
      input.status == null ? null : input.status.map((status) => status.toLowerCase()),
      planId,
      id,
      page.limit + 1,
    ],
    { prepare: true },
  )) as unknown as PlanStepRow[];
  return createConnection<PlanStepRow>('assignedSteps', page, rows, (row) => [row.planId, row.id]);
}
