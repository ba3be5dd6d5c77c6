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

/** Figures of a context; without any, `isCertain` says whether there are none to be had or nobody could tell. */
interface Asked<Figures> {
  readonly figures: Figures | null;
  readonly isCertain: boolean;
}

const askText = (selection: string) =>
  `query PlansAtWork($id: ID!) { context(contextId: $id) { id taskFigures { ${selection} } } }`;
const workText = askText('runningTasks blockedTasks completedLastHour failedLastHour averageTaskMs p95TaskMs');
const runsText = askText('runningExecutions');

/** Asks the graph in the module's own name: whether work goes on does not depend on who wants to know. */
async function ask<Figures>(
  { graph, logger }: Asking,
  { tenantId, contextId }: Place,
  text: string,
): Promise<Asked<Figures>> {
  const principal = createPrincipal({
    tenantId,
    subject: 'system:context',
    subjectType: 'service',
    scopes: ['context:*', 'plan:read'],
  });
  try {
    const { data, errors } = await graph.execute<{ context: { taskFigures: Figures | null } | null }>(
      text,
      { id: contextId },
      principal,
    );
    const figures = data?.context?.taskFigures ?? null;
    if (figures !== null) return { figures, isCertain: true };
    // Of a context that is not there nothing is told, nor of plans in a module that the tenant's own manifest closes.
    if (errors.length === 0 && data !== null && data.context === null) return { figures, isCertain: true };
    if (errors.length > 0 && errors.every(({ code }) => code === 'MODULE_DISABLED'))
      return { figures, isCertain: true };
    logger.warn({ contextId, errors }, 'the plans of a context could not be asked for');
  } catch (error) {
    logger.warn({ contextId, error: String(error) }, 'the plans of a context could not be asked for');
  }
  return { figures: null, isCertain: false };
}

export async function findPlansAtWork(asking: Asking, place: Place): Promise<PlansAtWork | null> {
  return (await ask<PlansAtWork>(asking, place, workText)).figures;
}

/** Runs of plans that go on in the context; null where nobody could tell. */
export async function countRunningPlans(asking: Asking, place: Place): Promise<number | null> {
  const { figures, isCertain } = await ask<{ runningExecutions: number }>(asking, place, runsText);
  return figures?.runningExecutions ?? (isCertain ? 0 : null);
}
