import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import { shownErasure } from './rows.ts';

export const erasureQueries = {
  subjectErasure: async (_parent, { id }, { service, scope }) => {
    const row = await service.erasures.find(scope, id);
    return row && shownErasure(row);
  },
  subjectErasures: async (_parent, page, { service, scope }) => {
    const { edges: found, pageInfo } = await service.erasures.page(scope, page);
    const edges = found.map(({ cursor, node }) => ({ cursor, node: shownErasure(node) }));
    return { edges, nodes: edges.map(({ node }) => node), pageInfo };
  },
} satisfies QueryResolvers;

export const erasureMutations = {
  eraseSubject: async (_parent, { input: { idempotencyKey, ...input } }, { service, scope }) => ({
    erasure: shownErasure(await service.erasures.erase(scope, input, idempotencyKey)),
    userErrors: [],
  }),
  cancelSubjectErasure: async (_parent, { id, idempotencyKey }, { service, scope }) => ({
    erasure: shownErasure(await service.erasures.cancel(scope, id, idempotencyKey)),
    userErrors: [],
  }),
} satisfies MutationResolvers;
