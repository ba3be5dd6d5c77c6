import type { JsonObject } from '../rows.ts';
import { fillTemplate, UnresolvedReference } from '../workflow/references.ts';
import { compensationFailed } from './compensation.ts';
import {
  changeStep,
  compiledOf,
  type Draft,
  earliest,
  later,
  mayBegin,
  note,
  type StepDraft,
  scopeOf,
} from './draft.ts';
import { lacksResources } from './holding.ts';

const compensationTimeoutMs = 30_000;

/** Key under which a module remembers a call of a step: the same for each attempt. */
export function callKey(executionId: string, step: Pick<StepDraft, 'stepId' | 'phase' | 'iteration'>): string {
  return `core:${executionId}:${step.stepId}:${step.phase === 'backward' ? 'undo' : 'do'}:${step.iteration}`;
}

function withKey(input: JsonObject, keyAt: readonly string[] | null, key: string): JsonObject {
  if (keyAt === null) return input;
  const [first, second] = keyAt as [string, string?];
  if (second === undefined) return { ...input, [first]: key };
  return { ...input, [first]: { ...(input[first] as JsonObject), [second]: key } };
}

/** A wait that was given its resources begins by itself. */
const needsWorker = (draft: Draft, step: StepDraft): boolean =>
  !lacksResources(draft, step) && compiledOf(draft, step).definition.kind === 'task';

/** Hands ready steps to a worker, those of the longest way to the end first; answers how many it took. */
export function dispatch(draft: Draft, owner: string, slots: number): number {
  const { execution, workflow, settings, now } = draft;
  const forward = execution.status === 'in_progress' && execution.ending === null;
  if (!forward && execution.status !== 'compensating') return 0;
  if (forward && !mayBegin(draft)) return 0;
  let running = 0;
  const ready: StepDraft[] = [];
  for (const step of draft.steps.values()) {
    if (step.status === 'running') running += 1;
    else if (step.status === 'ready' && (step.phase === 'forward') === forward && needsWorker(draft, step))
      ready.push(step);
  }
  const tail = workflow.topology.tailMs;
  ready.sort((one, two) => tail.get(two.stepId)! - tail.get(one.stepId)! || one.place - two.place);
  let taken = 0;
  for (const step of ready) {
    if (taken >= slots || running >= workflow.definition.maxConcurrentSteps) break;
    const compiled = compiledOf(draft, step);
    const backward = step.phase === 'backward';
    const operation = backward ? compiled.compensation : compiled.operation;
    let variables: JsonObject;
    try {
      const input = backward
        ? fillTemplate(step.compensation, scopeOf(draft, { self: { output: step.output } }))
        : step.input;
      variables = withKey(input as JsonObject, operation?.keyAt ?? null, callKey(execution.id, step));
    } catch (error) {
      if (!(error instanceof UnresolvedReference)) throw error;
      compensationFailed(draft, step, { code: 'UNRESOLVED_REF', message: error.message }, false);
      continue;
    }
    const { definition } = compiled;
    const timeoutMs = backward ? compensationTimeoutMs : definition.timeoutMs;
    const closesAt =
      forward && definition.scheduleToCloseMs !== null && step.readyAt !== null
        ? later(step.readyAt, definition.scheduleToCloseMs)
        : null;
    changeStep(draft, step, {
      status: 'running',
      attempt: step.attempt + 1,
      leaseOwner: owner,
      leaseUntil: later(now, settings.leaseMs),
      leaseEpoch: step.leaseEpoch + 1,
      timeoutAt: earliest(later(now, timeoutMs), closesAt),
      startedAt: step.startedAt ?? now,
    });
    note(draft, backward ? 'step.compensating' : 'step.started', step, { owner, epoch: step.leaseEpoch });
    draft.leases.push({
      tenantId: execution.tenantId,
      executionId: execution.id,
      stepId: step.stepId,
      phase: step.phase,
      epoch: step.leaseEpoch,
      attempt: step.attempt,
      iteration: step.iteration,
      timeoutMs: Math.max(1, Date.parse(step.timeoutAt!) - Date.parse(now)),
      variables,
      principal: execution.principal,
      step: compiled,
    });
    running += 1;
    taken += 1;
  }
  return taken;
}
