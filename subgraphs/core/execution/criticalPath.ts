import type { CoreExecutionRow, CoreStepExecutionRow } from '../rows.ts';
import { stepsAt, type WorkflowDefinition } from '../workflow/definition.ts';
import { readTopology } from '../workflow/topology.ts';

/** The way through the steps that took longest, by what each took; a step that has not ended took nothing yet (critical path method). */
export function criticalPathOf(
  { body }: Pick<CoreExecutionRow, 'body'>,
  definition: WorkflowDefinition,
  steps: readonly Pick<CoreStepExecutionRow, 'stepId' | 'startedAt' | 'finishedAt'>[],
): string[] {
  const tookMs = new Map(
    steps.map(({ stepId, startedAt, finishedAt }) => [
      stepId,
      startedAt === null || finishedAt === null ? 0 : Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)),
    ]),
  );
  const { criticalPath } = readTopology(
    stepsAt(definition, body).map(({ id, dependsOn }) => ({ id, dependsOn, durationMs: tookMs.get(id) ?? 0 })),
  );
  return [...criticalPath];
}
