import { hasBeginnable } from './begin.ts';
import { changeExecution, compiledOf, type Draft, ended, note, type StepDraft, terminal } from './draft.ts';
import { endExecution } from './failure.ts';
import { awaitsResources, goesForward, refusalMessage } from './holding.ts';

/**
 * Whether all that goes on are waits that give back what the run holds: until one of them is over, and something may begin.
 */
function isIdle(draft: Draft): boolean {
  const open = [...draft.steps.values()].filter(({ status }) => status !== 'pending' && !ended.has(status));
  return (
    open.length > 0 &&
    open.every(
      (step) =>
        step.status === 'waiting' &&
        !awaitsResources(step) &&
        compiledOf(draft, step).definition.releasesResources === true,
    ) &&
    !hasBeginnable(draft)
  );
}

/** What a run holds as a whole goes back with its end, however it ends, and while it only waits; its place in the queue when it is paused, too. */
export function giveBackRun(draft: Draft): void {
  const { execution } = draft;
  if (execution.allocationId === null) return;
  const isOver = terminal.has(execution.status);
  const keeps = execution.holdsResources ? !isIdle(draft) : goesForward(draft);
  if (!isOver && keeps) return;
  draft.released.push(execution.allocationId);
  if (!isOver) note(draft, 'workflow.released', null, { allocationId: execution.allocationId });
  changeExecution(draft, { allocationId: null, holdsResources: false });
}

/** Whether the run asks now for what it is to hold. */
export function takeRunAsking(draft: Draft): boolean {
  const { workflow, execution } = draft;
  if (workflow.definition.resources == null || execution.allocationId !== null) return false;
  if (!goesForward(draft) || isIdle(draft)) return false;
  changeExecution(draft, { allocationId: crypto.randomUUID() });
  note(draft, 'workflow.waiting', null, { for: `allocation:${execution.allocationId}` });
  return true;
}

/** What the run waited for is its own: its steps begin with the next look at it. */
export function runGranted(draft: Draft, detail: Readonly<Record<string, unknown>>): void {
  changeExecution(draft, { holdsResources: true });
  note(draft, 'workflow.allocated', null, { allocationId: draft.execution.allocationId, ...detail });
}

/**
 * What has become of the resources of a run meanwhile. What it held and was taken is asked for anew.
 * @param lapse hands a running step out again
 */
export function meetRunAllocation(draft: Draft, lapse: (draft: Draft, step: StepDraft) => void): void {
  const { execution } = draft;
  const allocation = execution.allocationId === null ? undefined : draft.allocations.get(execution.allocationId);
  if (allocation === undefined) return;
  // So that it is not looked at again at once.
  draft.touched = true;
  const { id, status, reason } = allocation;
  if (status === 'queued') return;
  if (status === 'active') {
    if (!execution.holdsResources && goesForward(draft)) runGranted(draft, {});
    return;
  }
  const held = execution.holdsResources;
  changeExecution(draft, { allocationId: null, holdsResources: false });
  if (status === 'failed') {
    const code = reason ?? 'RESOURCE_ALLOCATION_FAILED';
    endExecution(draft, 'failed', { code, message: refusalMessage(code), details: { allocationId: id } });
    return;
  }
  if (!held) return;
  note(draft, 'workflow.deprived', null, { allocationId: id, reason: reason ?? status });
  for (const step of draft.steps.values())
    if (step.status === 'running' && step.phase === 'forward') lapse(draft, step);
}
