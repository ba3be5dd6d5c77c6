import { type Locators, locateRows } from '#shared/door.ts';

/** Contexts of what the module keeps. */
export const coreLocators: Locators = {
  CoreWorkflowExecution: locateRows('CoreWorkflowExecution', 'core.execution'),
  CoreResourceAllocation: locateRows('CoreResourceAllocation', 'core.allocation'),
};
