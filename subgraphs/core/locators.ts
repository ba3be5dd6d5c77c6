import { type Locators, locateRows } from '#shared/door.ts';

/** Contexts of what the module keeps. */
export const coreLocators: Locators = {
  CoreWorkflowExecution: locateRows('CoreWorkflowExecution', 'core.execution'),
  CoreOrchestrationDecision: locateRows('CoreOrchestrationDecision', 'core.decision'),
  CoreResourceAllocation: locateRows('CoreResourceAllocation', 'core.allocation'),
};
