import { toDocument } from './document.ts';
import type { Resolvers } from './resolvers.generated.ts';
import { isId } from '#shared/ids.ts';

export const resolvers: Resolvers = {
  Query: {
    context: (_parent, { contextId }, { loaders }) => (isId(contextId) ? loaders.context.load(contextId) : null),
  },
  Mutation: {
    createContext: async (_parent, { input }, { service, scope }) => {
      const { context, joinToken } = await service.create(scope, input);
      return {
        context,
        accessInfo: { contextUrl: `/contexts/${context.id}`, permissions: [...scope.principal.scopes], joinToken },
        userErrors: [],
      };
    },
    updateContext: async (_parent, { contextId, patch, ...options }, { service, scope }) => ({ context: await service.update(scope, contextId, patch, options), userErrors: [] }),
    changeContextStatus: async (_parent, { contextId, status, reason, ...options }, { service, scope }) => ({
      context: await service.changeStatus(scope, contextId, status, reason, options),
      userErrors: [],
    }),
    deleteContext: async (_parent, { contextId, force, idempotencyKey }, { service, scope }) => ({
      ...(await service.remove(scope, contextId, force, idempotencyKey)),
      deleted: true,
      userErrors: [],
    }),
    restoreContext: async (_parent, { contextId, idempotencyKey }, { service, scope }) => ({ context: await service.restore(scope, contextId, idempotencyKey), userErrors: [] }),
  },
  Context: {
    __resolveReference: ({ id }, { loaders }) => loaders.context.load(id),
    contextId: (row) => row.id,
    status: (row) => row.status.toUpperCase() as Uppercase<typeof row.status>,
    entryPoint: (row) => (row.root['entry_point'] as string | undefined) ?? null,
    ownerRoleId: (row) => row.ownerRole,
    governance: (row) =>
      row.governance && {
        lifecyclePhase: row.governance.lifecyclePhase ?? null,
        truthDomain: row.governance.truthDomain ?? null,
        locked: row.governance.locked ?? false,
        lastConfirmId: row.governance.lastConfirmRef?.id ?? null,
      },
    document: (row) => toDocument(row),
  },
};
