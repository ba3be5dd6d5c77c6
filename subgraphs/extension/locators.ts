import { createLocator, type Locators } from '#shared/door.ts';

const located = (type: string, table: string) =>
  createLocator({
    text: `SELECT id AS key, id, context_id AS "contextId" FROM extension.${table} WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    type,
  });

/** Contexts of what the module keeps. */
export const extensionLocators: Locators = {
  Extension: located('Extension', 'extension'),
  ExtensionRelease: located('ExtensionRelease', 'release'),
  ExtensionCapability: located('ExtensionCapability', 'capability'),
  ExtensionSandbox: located('ExtensionSandbox', 'sandbox'),
  ExtensionExecution: located('ExtensionExecution', 'execution'),
};
