import { changeStep, compiledOf, type Draft, mayBegin, note, type StepDraft } from './draft.ts';
import { failStep } from './failure.ts';

const prefix = 'allocation:';

/** Whether a step waits until its request for resources is granted. */
export const awaitsResources = ({ status, waitsFor }: Pick<StepDraft, 'status' | 'waitsFor'>): boolean =>
  status === 'waiting' && waitsFor !== null && waitsFor.startsWith(prefix);

/** How long a lease lasts that the leases of workers of this length extend: it outlives three of them. */
export const resourceLeaseMs = (workerLeaseMs: number): number => Math.max(60_000, 3 * workerLeaseMs);

/** Whether a step holds its resources while it waits for a signal or an approval. */
export const holdsWaiting = (step: StepDraft): boolean =>
  step.status === 'waiting' && step.phase === 'forward' && step.allocationId !== null && !awaitsResources(step);

/** Whether anything is held that no worker's lease extends. */
export const holdsByItself = ({ execution, steps }: Draft): boolean =>
  execution.holdsResources || [...steps.values()].some(holdsWaiting);

/** Whether a wait for a signal or an approval begins now: it has been given what it holds meanwhile. */
export const mayWait = (draft: Draft, step: StepDraft): boolean =>
  step.status === 'ready' &&
  step.phase === 'forward' &&
  compiledOf(draft, step).definition.kind !== 'task' &&
  goesForward(draft) &&
  step.allocationId !== null &&
  draft.allocations.get(step.allocationId)?.status === 'active';

/** What undoes a call, or learns how it ended, holds nothing. */
const needsResources = (draft: Draft, step: StepDraft): boolean =>
  step.phase === 'forward' && compiledOf(draft, step).definition.resources != null;

/** Whether a step that could begin has not asked for its resources yet. */
export const lacksResources = (draft: Draft, step: StepDraft): boolean =>
  step.status === 'ready' && step.allocationId === null && needsResources(draft, step);

export const goesForward = ({ execution }: Draft): boolean =>
  execution.status === 'in_progress' && execution.ending === null;

/** Whether one more step may ask: what could not begin anyway would only hold resources idle. */
export function mayAsk(draft: Draft): boolean {
  if (!goesForward(draft) || !mayBegin(draft)) return false;
  const busy = [...draft.steps.values()].filter(
    (step) => step.status === 'running' || (step.allocationId !== null && !holdsWaiting(step)),
  ).length;
  return busy < draft.workflow.definition.maxConcurrentSteps;
}

/** Steps that ask for their resources now, those of the longest way to the end first. */
export function takeAsking(draft: Draft): readonly StepDraft[] {
  const { tailMs } = draft.workflow.topology;
  const lacking = [...draft.steps.values()]
    .filter((step) => lacksResources(draft, step))
    .sort((one, two) => tailMs.get(two.stepId)! - tailMs.get(one.stepId)! || one.place - two.place);
  const asking: StepDraft[] = [];
  for (const step of lacking) {
    if (!mayAsk(draft)) break;
    const allocationId = crypto.randomUUID();
    changeStep(draft, step, { allocationId, status: 'waiting', waitsFor: `${prefix}${allocationId}` });
    asking.push(step);
  }
  return asking;
}

/** What a step waited for or held goes back with the transition. */
export function giveBack(draft: Draft, step: StepDraft): void {
  if (step.allocationId === null) return;
  draft.released.push(step.allocationId);
  changeStep(draft, step, { allocationId: null });
}

/** Gives back what no step needs any more: it has ended, is tried again later, or nothing begins for now. */
export function giveBackIdle(draft: Draft): void {
  for (const step of draft.steps.values()) {
    if (step.allocationId === null || (step.status === 'running' && step.phase === 'forward')) continue;
    if (holdsWaiting(step) && draft.execution.ending === null) continue;
    const begins = step.status === 'ready' || awaitsResources(step);
    if (begins && step.phase === 'forward' && goesForward(draft)) continue;
    giveBack(draft, step);
    if (awaitsResources(step)) changeStep(draft, step, { status: 'ready', waitsFor: null });
  }
}

export function granted(draft: Draft, step: StepDraft, detail: Readonly<Record<string, unknown>>): void {
  changeStep(draft, step, { status: 'ready', waitsFor: null });
  note(draft, 'step.allocated', step, { allocationId: step.allocationId, ...detail });
}

/**
 * What has become of the resources of a step meanwhile. @param lapse hands a running step out again: what it held was taken
 */
export function meetAllocation(draft: Draft, step: StepDraft, lapse: (draft: Draft, step: StepDraft) => void): void {
  const allocation = draft.allocations.get(step.allocationId!);
  // What was asked for in this transition is settled at its end.
  if (allocation === undefined) return;
  const { id, status, reason } = allocation;
  if (awaitsResources(step)) {
    // So that it is not looked at again at once.
    draft.touched = true;
    if (status === 'active') granted(draft, step, {});
    else if (status === 'failed') {
      const code = reason ?? 'RESOURCE_ALLOCATION_FAILED';
      const error = { code, message: refusalMessage(code), details: { allocationId: id } };
      changeStep(draft, step, { allocationId: null });
      failStep(draft, step, error, { final: code !== 'RESOURCE_ALLOCATION_FAILED' });
    } else if (status !== 'queued') changeStep(draft, step, { allocationId: null, status: 'ready', waitsFor: null });
  } else if (status === 'active') {
    // Its lease is extended with this look.
    if (holdsWaiting(step)) draft.touched = true;
  } else {
    if (step.status === 'running') {
      note(draft, 'step.deprived', step, { allocationId: id, reason: reason ?? status });
      lapse(draft, step);
    } else if (holdsWaiting(step)) {
      // It waits on once it has them anew; what is told meanwhile is kept for it.
      note(draft, 'step.deprived', step, { allocationId: id, reason: reason ?? status });
      changeStep(draft, step, {
        ...{ status: 'ready', waitsFor: null, allocationId: null, timeoutAt: null, leaseUntil: null },
      });
    } else if (step.status === 'ready') changeStep(draft, step, { allocationId: null });
  }
}

const refusals: Readonly<Record<string, string>> = {
  NEVER_FITS: 'no node could carry what it needs even if it were empty',
  QUOTA_EXCEEDED: 'what it needs is more than its owner may hold',
  RESOURCE_ALLOCATION_FAILED: 'too many requests wait already',
};

export const refusalMessage = (code: string): string => refusals[code] ?? 'it was not granted';
