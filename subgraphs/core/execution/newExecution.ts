import type { CoreExecutionRow, CoreStepExecutionRow, StoredPrincipal } from '../rows.ts';
import { stepsAt, type WorkflowDefinition } from '../workflow/definition.ts';
import { budgetTimes } from './draft.ts';
import type { NewExecution } from './store.ts';

export interface ExecutionSeed {
  readonly id: string;
  readonly tenantId: string;
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly body: readonly string[];
  readonly contextId: string | null;
  readonly parentId: string | null;
  readonly parentStepId: string | null;
  readonly depth: number;
  readonly priority: number;
  readonly input: unknown;
  readonly principal: StoredPrincipal;
  readonly timeoutMs: number | null;
  readonly createdBy: string;
  readonly ruleDepth: number;
  readonly ruleChain: readonly string[];
}

/** Rows of an execution that has done nothing yet. */
export function newExecution(seed: ExecutionSeed, definition: WorkflowDefinition, now: string): NewExecution {
  const { timeoutMs, ...given } = seed;
  const steps = stepsAt(definition, seed.body);
  const row: CoreExecutionRow = {
    ...given,
    status: 'created',
    output: null,
    error: null,
    statusReason: null,
    ending: null,
    holdsSlot: false,
    ...{ allocationId: null, holdsResources: false },
    told: true,
    historySequence: 0,
    totalSteps: steps.length,
    endedSteps: 0,
    retries: 0,
    ...budgetTimes(now, timeoutMs ?? definition.timeoutMs),
    nextAt: now,
    version: 1,
    createdAt: now,
    startedAt: null,
    completedAt: null,
    updatedAt: now,
  };
  return { row, steps: steps.map((step, place) => newStep(seed, step.id, place)) };
}

function newStep({ tenantId, id }: ExecutionSeed, stepId: string, place: number): CoreStepExecutionRow {
  return {
    ...{ tenantId, executionId: id, stepId, place, status: 'pending', phase: 'forward', attempt: 0, failures: 0 },
    ...{
      leaseOwner: null,
      leaseUntil: null,
      leaseEpoch: 0,
      readyAt: null,
      dueAt: null,
      timeoutAt: null,
      waitsFor: null,
    },
    ...{ iteration: 0, input: null, output: null, error: null, compensation: null, outcome: null, allocationId: null },
    ...{ startedAt: null, finishedAt: null },
  };
}
