import { createLocator, type Locators } from '#shared/door.ts';

/** Contexts of what the module keeps. Of a plan it knows what its traces say. */
export const traceLocators: Locators = {
  Trace: createLocator({
    text: `SELECT id AS key, id, context_id AS "contextId", plan_id AS "planId" FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type: 'Trace',
  }),
  Plan: createLocator({
    text: `SELECT DISTINCT ON (plan_id) plan_id AS key, plan_id AS id, context_id AS "contextId" FROM trace.trace
     WHERE tenant_id = $1 AND plan_id = ANY($2::uuid[]) AND context_id IS NOT NULL ORDER BY plan_id, created_at DESC`,
    type: 'Plan',
  }),
};
