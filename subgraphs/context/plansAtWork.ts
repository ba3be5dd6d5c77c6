import { createPrincipal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

/** What the graph tells of the steps of plans that are carried out in a context. */
export interface PlansAtWork {
  readonly runningTasks: number;
  readonly blockedTasks: number;
  readonly completedLastHour: number;
  readonly failedLastHour: number;
  readonly averageTaskMs: number | null;
  readonly p95TaskMs: number | null;
}

type Asking = Pick<ModuleRuntime, 'graph' | 'logger'>;

interface Place {
  readonly tenantId: string;
  readonly contextId: string;
}

const askText = (selection: string) =>
  `query PlansAtWork($id: ID!) { context(contextId: $id) { id taskFigures { ${selection} } } }`;
const workText = askText('runningTasks blockedTasks completedLastHour failedLastHour averageTaskMs p95TaskMs');
const runsText = askText('runningExecutions');

/**
 * Asks the graph in the module's own name: whether work goes on does not depend on who wants to know.
 * Null where no answer is to be had.
 */
async function ask<Figures>(
  { graph, logger }: Asking,
  { tenantId, contextId }: Place,
  text: string,
): Promise<Figures | null> {
  const principal = createPrincipal({
    tenantId,
    subject: 'system:context',
    subjectType: 'service',
    scopes: ['context:*', 'plan:read'],
  });
  try {
    const { data, errors } = await graph.execute<{ context: { taskFigures: Figures } | null }>(
      text,
      { id: contextId },
      principal,
    );
    if (data?.context) return data.context.taskFigures;
    if (errors.length > 0) logger.warn({ contextId, errors }, 'the plans of a context could not be asked for');
  } catch (error) {
    logger.warn({ contextId, error: String(error) }, 'the plans of a context could not be asked for');
  }
  return null;
}

export function findPlansAtWork(asking: Asking, place: Place): Promise<PlansAtWork | null> {
  return ask<PlansAtWork>(asking, place, workText);
}

/** Runs of plans that go on in the context; 0 as well where nobody could tell. */
export async function countRunningPlans(asking: Asking, place: Place): Promise<number> {
  return (await ask<{ runningExecutions: number }>(asking, place, runsText))?.runningExecutions ?? 0;
}
