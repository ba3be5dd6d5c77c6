import { createLocator, type Locators, locateRows } from '#shared/door.ts';

/** Contexts of what the module keeps; a run is placed by its plan. */
export const planLocators: Locators = {
  Plan: locateRows('Plan', 'plan.plan'),
  PlanExecution: createLocator({
    text: `SELECT id AS key, plan_id AS id, context_id AS "contextId" FROM plan.execution WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type: 'Plan',
  }),
};
