import type { StepPatch } from './inputs.ts';
import { toStep } from './network.ts';
import type { PlanStepRow } from './rows.ts';

/** A step with what a patch names; null clears, what is not named stays. */
export function patchStep(before: PlanStepRow, patch: StepPatch): PlanStepRow {
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
  const merged = {
    parentId: before.parentId,
    name: before.name,
    type: before.type,
    priority: before.priority,
    agentRole: before.agentRole,
    orderIndex: before.orderIndex,
    durationMs: before.durationMs,
    requiredCapabilities: [...before.capabilities],
    assignedAgents: [...before.assignedAgents],
    ...before.details,
    demands: before.details.demands === undefined ? undefined : [...before.details.demands],
    ...given,
    id: before.id,
    description: patch.description ?? before.description,
  };
  const { tenantId, planId, place } = before;
  return { ...toStep(merged, { tenantId, planId, place }), protocol: before.protocol };
}
