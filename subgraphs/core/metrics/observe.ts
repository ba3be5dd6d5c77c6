import type { Draft } from '../execution/draft.ts';
import type { Recorder } from './recorder.ts';

const over = new Set(['workflow.completed', 'workflow.failed', 'workflow.cancelled', 'workflow.timed.out']);
const between = (from: string, to: string) => Math.max(0, Date.parse(to) - Date.parse(from));

/** What a transition that is stored says of arrivals, waits and runs. */
export function observeDraft(recorder: Recorder, { execution, steps, changed, leases, history, now }: Draft): void {
  const { tenantId, parentId, createdAt, startedAt, status } = execution;
  for (const id of changed) {
    const step = steps.get(id)!;
    if (step.readyAt === now && (step.status === 'ready' || step.status === 'running') && step.attempt <= 1)
      recorder.observe(tenantId, 'step.arrived', 1);
  }
  for (const { stepId, attempt, phase } of leases) {
    const { readyAt } = steps.get(stepId)!;
    if (attempt === 1 && phase === 'forward' && readyAt !== null)
      recorder.observe(tenantId, 'step.wait', between(readyAt, now));
  }
  for (const { type } of history) {
    if (type === 'step.lapsed') recorder.observe(tenantId, 'step.lapsed', 1);
    if (parentId !== null || !over.has(type) || startedAt === null) continue;
    recorder.observe(tenantId, 'execution.wait', between(createdAt, startedAt));
    recorder.observe(tenantId, 'execution.run', between(startedAt, now));
    if (status !== 'completed' && status !== 'cancelled') recorder.observe(tenantId, 'execution.failed', 1);
  }
}
