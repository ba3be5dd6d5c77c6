import { createLocator, type Locators, locateRows } from '#shared/door.ts';

/** Contexts of what the module keeps; runs, sessions and contributions are placed by their plan. */
export const planLocators: Locators = {
  Plan: locateRows('Plan', 'plan.plan'),
  PlanExecution: createLocator({
    text: `SELECT id AS key, plan_id AS id, context_id AS "contextId" FROM plan.execution WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type: 'Plan',
  }),
  PlanSession: createLocator({
    text: `SELECT id AS key, plan_id AS id, context_id AS "contextId" FROM plan.session WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type: 'Plan',
  }),
  PlanContribution: createLocator({
    text: `SELECT c.id AS key, c.plan_id AS id, s.context_id AS "contextId" FROM plan.contribution c JOIN plan.session s ON s.tenant_id = c.tenant_id AND s.id = c.session_id
      WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    type: 'Plan',
  }),
};
