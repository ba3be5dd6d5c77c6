import { createPrincipal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

/** What the graph tells of the plans that are carried out in a context. */
export interface PlansAtWork {
  readonly runningExecutions: number;
  readonly runningTasks: number;
  readonly blockedTasks: number;
  readonly completedLastHour: number;
  readonly failedLastHour: number;
  readonly averageTaskMs: number | null;
  readonly p95TaskMs: number | null;
}

const askText = `query PlansAtWork($id: ID!) { context(contextId: $id) { id taskFigures {
  runningExecutions runningTasks blockedTasks completedLastHour failedLastHour averageTaskMs p95TaskMs } } }`;

interface Asked {
  readonly context: { readonly taskFigures: PlansAtWork } | null;
}

/**
 * Asks the graph in the module's own name: whether work goes on does not depend on who wants to know.
 * Null where no answer is to be had.
 */
export async function findPlansAtWork(
  { graph, logger }: Pick<ModuleRuntime, 'graph' | 'logger'>,
  { tenantId, contextId }: { readonly tenantId: string; readonly contextId: string },
): Promise<PlansAtWork | null> {
  const principal = createPrincipal({
    tenantId,
    subject: 'system:context',
    subjectType: 'service',
    scopes: ['context:*', 'plan:read'],
  });
  try {
    const { data, errors } = await graph.execute<Asked>(askText, { id: contextId }, principal);
    if (data?.context) return data.context.taskFigures;
    if (errors.length > 0) logger.warn({ contextId, errors }, 'the plans of a context could not be asked for');
  } catch (error) {
    logger.warn({ contextId, error: String(error) }, 'the plans of a context could not be asked for');
  }
  return null;
}
