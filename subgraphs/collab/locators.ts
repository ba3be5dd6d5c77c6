import { createLocator, type Locator, type Locators, locateRows } from '#shared/door.ts';

/** What lies below a collaboration lies in its context. */
function below(table: string): Locator {
  return createLocator({
    text: `SELECT x.id AS key, c.id, c.context_id AS "contextId" FROM collab.${table} x
      JOIN collab.collaboration c ON c.tenant_id = x.tenant_id AND c.id = x.collab_id WHERE x.tenant_id = $1 AND x.id = ANY($2::uuid[])`,
    type: 'Collaboration',
  });
}

/** Objects of other modules are placed by the collaborations that name them. */
function named(type: string, column: string): Locator {
  return createLocator({
    text: `SELECT DISTINCT ON (${column}) ${column} AS key, ${column} AS id, context_id AS "contextId" FROM collab.collaboration
      WHERE tenant_id = $1 AND ${column} = ANY($2::uuid[]) ORDER BY ${column}, created_at DESC`,
    type,
  });
}

export const collabLocators: Locators = {
  Collaboration: locateRows('Collaboration', 'collab.collaboration'),
  CollabDecision: below('decision'),
  CollabTask: below('task'),
  CollabConflict: below('conflict'),
  CollabCouncil: below('council'),
  CollabRecommendation: below('recommendation'),
  CollabTurn: below('turn'),
  CollabBroadcast: below('broadcast'),
  CollabResource: below('resource'),
  Plan: named('Plan', 'plan_id'),
  Dialog: named('Dialog', 'dialog_id'),
  Network: named('Network', 'network_id'),
};
