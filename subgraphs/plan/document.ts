import { isBinding } from './relations.ts';
import type { PlanDependencyRow, PlanRow, PlanStepRow } from './rows.ts';

const version = '1.0.0';

/** The frozen MPLP form: snake_case, unset optionals absent; of the dependencies those that bind, as predecessors. */
export function toDocument(
  row: PlanRow,
  steps: readonly PlanStepRow[],
  dependencies: readonly PlanDependencyRow[],
): Record<string, unknown> {
  const kept = row.protocol ?? {};
  const predecessors = Map.groupBy(dependencies.filter(isBinding), ({ targetId }) => targetId);
  return {
    meta: kept['meta'] ?? {
      protocol_version: version,
      schema_version: version,
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    plan_id: row.id,
    context_id: row.contextId,
    title: row.title,
    objective: row.objective,
    status: row.status,
    steps: steps.map((step) => {
      const before = [...new Set((predecessors.get(step.id) ?? []).map(({ sourceId }) => sourceId))];
      const wasGiven = step.protocol?.['hasDependencies'] === true;
      return {
        step_id: step.id,
        description: step.description,
        status: step.status,
        ...(before.length > 0 || wasGiven ? { dependencies: before } : {}),
        ...(step.agentRole === null ? {} : { agent_role: step.agentRole }),
        ...(step.orderIndex === null ? {} : { order_index: step.orderIndex }),
      };
    }),
    ...(kept['trace'] === undefined ? {} : { trace: kept['trace'] }),
    ...(kept['events'] === undefined ? {} : { events: kept['events'] }),
  };
}
