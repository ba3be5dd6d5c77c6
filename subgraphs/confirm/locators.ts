import { createLocator, type Locators } from '#shared/door.ts';

/** Contexts of what the module keeps. Of a plan and a trace it knows what confirms about it say. */
export const confirmLocators: Locators = {
  Confirm: createLocator({
    text: `SELECT id AS key, id, context_id AS "contextId", plan_id AS "planId" FROM confirm.confirm WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type: 'Confirm',
  }),
  Plan: createLocator({
    text: `SELECT DISTINCT ON (plan_id) plan_id AS key, plan_id AS id, context_id AS "contextId" FROM confirm.confirm
     WHERE tenant_id = $1 AND plan_id = ANY($2::uuid[]) AND context_id IS NOT NULL ORDER BY plan_id, created_at DESC`,
    type: 'Plan',
  }),
  Trace: createLocator({
    text: `SELECT DISTINCT ON (target_id) target_id AS key, target_id AS id, context_id AS "contextId" FROM confirm.confirm
     WHERE tenant_id = $1 AND target_type = 'trace' AND target_id = ANY($2::uuid[]) AND context_id IS NOT NULL ORDER BY target_id, created_at DESC`,
    type: 'Trace',
  }),
};
