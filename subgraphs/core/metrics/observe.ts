import type { Draft } from '../execution/draft.ts';
import { timingKey, usageKeys, usageScale, workflowKey } from '../workflow/estimate.ts';
import type { Durations } from './durations.ts';
import type { Recorder } from './recorder.ts';

const over = new Set(['workflow.completed', 'workflow.failed', 'workflow.cancelled', 'workflow.timed.out']);
const between = (from: string, to: string) => Math.max(0, Date.parse(to) - Date.parse(from));

/** Where what is measured goes. */
export interface Observers {
  readonly recorder: Recorder;
  readonly durations: Durations;
}

/** What a transition that is stored says of arrivals, waits and runs, and of how long things take. */
export function observeDraft(
  { recorder, durations }: Observers,
  { execution, steps, workflow, changed, leases, history, usages, now }: Draft,
): void {
  const { tenantId, workflowId, body, parentId, createdAt, startedAt, status } = execution;
  for (const id of changed) {
    const step = steps.get(id)!;
    const { definition } = workflow.steps.get(id)!;
    // What is made to happen once more began with the first time.
    if (
      step.status === 'completed' &&
      step.finishedAt === now &&
      step.startedAt !== null &&
      (definition.kind === 'loop' || (definition.kind !== 'workflow' && step.iteration === 0))
    ) {
      const key = timingKey(definition, { workflowId, body });
      if (key !== null) durations.observe(tenantId, key, between(step.startedAt, now));
    }
    if (step.readyAt === now && (step.status === 'ready' || step.status === 'running') && step.attempt <= 1)
      recorder.observe(tenantId, 'step.arrived', 1);
  }
  for (const { key, peak } of usages)
    usageKeys(key).forEach((one, at) => {
      durations.observe(tenantId, one, peak[at]! * usageScale);
    });
  for (const { stepId, attempt, phase } of leases) {
    const { readyAt } = steps.get(stepId)!;
    if (attempt === 1 && phase === 'forward' && readyAt !== null)
      recorder.observe(tenantId, 'step.wait', between(readyAt, now));
  }
  for (const { type } of history) {
    if (type === 'step.lapsed') recorder.observe(tenantId, 'step.lapsed', 1);
    if (type === 'workflow.completed' && body.length === 0 && startedAt !== null)
      durations.observe(tenantId, workflowKey(workflowId), between(startedAt, now));
    if (parentId !== null || !over.has(type) || startedAt === null) continue;
    recorder.observe(tenantId, 'execution.wait', between(createdAt, startedAt));
    recorder.observe(tenantId, 'execution.run', between(startedAt, now));
    if (status !== 'completed' && status !== 'cancelled') recorder.observe(tenantId, 'execution.failed', 1);
  }
}
