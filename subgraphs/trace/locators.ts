import { createLocator, type Locators } from '#shared/door.ts';

/** Contexts of what the module keeps. Of a plan it knows what its traces say. */
export const traceLocators: Locators = {
  Trace: createLocator({
    text: `SELECT id AS key, id, context_id AS "contextId", plan_id AS "planId" FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type: 'Trace',
  }),
  TraceAlert: createLocator({
    text: `SELECT a.id AS key, a.id, a.context_id AS "contextId", t.plan_id AS "planId" FROM trace.alert a
     LEFT JOIN trace.trace t ON t.tenant_id = a.tenant_id AND t.id = a.trace_id WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[])`,
    type: 'TraceAlert',
  }),
  Plan: createLocator({
    text: `SELECT DISTINCT ON (plan_id) plan_id AS key, plan_id AS id, context_id AS "contextId" FROM trace.trace
     WHERE tenant_id = $1 AND plan_id = ANY($2::uuid[]) AND context_id IS NOT NULL ORDER BY plan_id, created_at DESC`,
    type: 'Plan',
  }),
};
