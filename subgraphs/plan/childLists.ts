import type { ChildList } from '#shared/childPages.ts';
import type { Principal } from '#shared/principal.ts';
import { viewerOf, visibleCondition } from './access.ts';
import type { PlanExecutionRow, PlanRow, PlanStepRow } from './rows.ts';
import { executionColumns, planColumns, stepColumns } from './store.ts';

/** Steps that a subject is assigned to or has claimed, plan by plan, of the plans that the caller sees. */
export function stepsOfSubject(principal: Principal, status: readonly string[] | null): ChildList<PlanStepRow> {
  return {
    list: 'assignedSteps',
    columns: stepColumns,
    from(parameters) {
      const tenant = `$${parameters.push(principal.tenantId)}`;
      return `(
         SELECT a.plan_id, a.id FROM plan.step a WHERE a.tenant_id = ${tenant} AND a.assigned_agents @> ARRAY[k.parent] AND a.assigned_agents <> '{}'
         UNION SELECT t.plan_id, t.step_id FROM plan.step_execution t WHERE t.tenant_id = ${tenant} AND t.lease_subject = k.parent
       ) m JOIN plan.step s ON s.tenant_id = ${tenant} AND s.plan_id = m.plan_id AND s.id = m.id
       JOIN plan.plan p ON p.tenant_id = s.tenant_id AND p.id = s.plan_id`;
    },
    parent: { type: 'text', condition: 'true' },
    sort: [
      { column: 's.plan_id', type: 'uuid', keyOf: ({ planId }) => planId },
      { column: 's.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    conditions(parameters) {
      const viewer = `$${parameters.push(viewerOf(principal))}`;
      return [
        `(${viewer}::text[] IS NULL OR ${visibleCondition('p', viewer)})`,
        ...(status === null ? [] : [`s.status = ANY($${parameters.push(status)}::text[])`]),
      ];
    },
  };
}

/** Runs of a plan, newest first. */
export function runsOfPlan(tenantId: string): ChildList<PlanExecutionRow> {
  return {
    list: 'planExecutions',
    columns: executionColumns,
    from: () => 'plan.execution e',
    parent: { type: 'uuid', condition: 'e.plan_id = k.parent' },
    sort: [
      { column: 'e.started_at', type: 'timestamptz', keyOf: ({ startedAt }) => startedAt },
      { column: 'e.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    descending: true,
    conditions: (parameters) => [`e.tenant_id = $${parameters.push(tenantId)}`],
  };
}

/** Plans of a context that the caller sees, newest first, without those put away. */
export function plansOfContext(principal: Principal, status: readonly string[] | null): ChildList<PlanRow> {
  return {
    list: 'contextPlans',
    columns: planColumns,
    from: () => 'plan.plan p',
    parent: { type: 'uuid', condition: 'p.context_id = k.parent' },
    sort: [
      { column: 'p.created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt },
      { column: 'p.id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    descending: true,
    conditions(parameters) {
      const viewer = `$${parameters.push(viewerOf(principal))}`;
      return [
        `p.tenant_id = $${parameters.push(principal.tenantId)}`,
        'p.archived_at IS NULL',
        `(${viewer}::text[] IS NULL OR ${visibleCondition('p', viewer)})`,
        ...(status === null ? [] : [`p.status = ANY($${parameters.push(status)}::text[])`]),
      ];
    },
  };
}
