import { isId } from '#shared/ids.ts';
import type { RequestContext } from '../context.ts';
import { listCollabs, readFilter } from '../lists.ts';
import { readHealth, readMetrics, readStatistics } from '../metrics.ts';
import {
  collabView,
  conflictPayload,
  councilPayload,
  decisionView,
  recommendationPayload,
  taskPayload,
} from '../payload.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import { emptyPage, pageBelow, type StatusPage, viewOf } from './pages.ts';

/** Lists below a collaboration that the caller does not see are empty, as those of one that is not there. */
async function below<Page>(
  { loaders }: RequestContext,
  { collabId, ...page }: StatusPage & { readonly collabId: string },
  read: (collabId: string, page: StatusPage) => Promise<Page>,
) {
  const found = isId(collabId) ? await loaders.collaboration.load(collabId) : null;
  return found === null ? emptyPage() : read(collabId, page);
}

export const queries: QueryResolvers = {
  collaboration: (_parent, { id }, { loaders }) => (isId(id) ? loaders.collaboration.load(id) : null),
  collaborations: async (_parent, { filter, ...page }, { service, scope }) => {
    const found = await listCollabs(service.sql, scope, readFilter(filter), page);
    return { ...viewOf(found, collabView), count: () => found.count() };
  },
  decisions: (_parent, args, context) =>
    below(context, args, (id, page) => pageBelow(context.loaders.decisions, id, page, decisionView)),
  decisionTally: async (_parent, { decisionId }, { loaders }) => {
    const decision = isId(decisionId) ? await loaders.decision.load(decisionId) : null;
    return decision && { decision, ballotCount: decision.ballotCount };
  },
  council: (_parent, { id }, { loaders }) => (isId(id) ? loaders.council.load(id) : null),
  councils: (_parent, args, context) =>
    below(context, args, (id, page) => pageBelow(context.loaders.councils, id, page, councilPayload)),
  conflicts: (_parent, args, context) =>
    below(context, args, (id, page) => pageBelow(context.loaders.conflicts, id, page, conflictPayload)),
  taskAssignments: (_parent, args, context) =>
    below(context, args, (id, page) => pageBelow(context.loaders.tasks, id, page, taskPayload)),
  recommendations: (_parent, args, context) =>
    below(context, args, (id, page) => pageBelow(context.loaders.recommendations, id, page, recommendationPayload)),
  collabMetrics: async (_parent, { collabId }, { loaders, service, scope }) => {
    const found = isId(collabId) ? await loaders.collaboration.load(collabId) : null;
    return found && readMetrics(service.sql, scope, collabId);
  },
  collabStatistics: (_parent, { contextId }, { service, scope }) =>
    contextId == null || isId(contextId)
      ? readStatistics(service.sql, scope, contextId ?? null)
      : {
          total: 0,
          byStatus: [],
          participants: 0,
          turnsCompleted: 0,
          tasksCompleted: 0,
          decisionsConcluded: 0,
          openConflicts: 0,
        },
  collabHealth: (_parent, _args, { service, scope }) => readHealth(service, scope),
};
