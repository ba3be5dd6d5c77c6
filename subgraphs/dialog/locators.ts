import { createLocator, type Locators, locateRows } from '#shared/door.ts';

/** Contexts of what the module keeps; a message is placed by its dialog. */
export const dialogLocators: Locators = {
  Dialog: locateRows('Dialog', 'dialog.dialog'),
  Message: createLocator({
    text: `SELECT m.id AS key, d.id, d.context_id AS "contextId" FROM dialog.message m
     JOIN dialog.dialog d ON d.tenant_id = m.tenant_id AND d.id = m.dialog_id WHERE m.tenant_id = $1 AND m.id = ANY($2::uuid[])`,
    type: 'Dialog',
  }),
};
