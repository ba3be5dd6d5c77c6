import { derivedId } from '#shared/derivedId.ts';
import { cleanupPlace } from '../workflow/definition.ts';
import { type Draft, note, scopeOf } from './draft.ts';

/**
 * Starts what cleans up after an execution that did not complete, as an execution of its own with the same rights: nothing
 * waits for it. Its input is `status`, `error`, `input` and `outputs` of the one that has ended.
 */
export function startCleanup(draft: Draft): void {
  const { execution, workflow } = draft;
  if ((workflow.definition.cleanupSteps ?? []).length === 0 || execution.startedAt === null) return;
  // One for each time it is tried: what is undone afterwards is not cleaned up after once more.
  const id = derivedId(`core:cleanup:${execution.tenantId}:${execution.id}:${execution.retries}`);
  if (draft.children.some((child) => child.id === id)) return;
  draft.newChildren.push({
    ...{ id, stepId: cleanupPlace, workflowId: execution.workflowId, workflowVersion: execution.workflowVersion },
    body: [cleanupPlace],
    input: {
      status: execution.status.toUpperCase(),
      error: execution.error,
      input: execution.input,
      outputs: Object.fromEntries(scopeOf(draft).outputs),
    },
  });
  note(draft, 'workflow.cleanup.started', null, { childId: id });
}
