import type { ContextService } from './service.ts';
import type { RequestScope } from '#shared/context.ts';
import { createRowLoader } from '#shared/loaders.ts';

export type ContextLoaders = ReturnType<typeof createContextLoaders>;

export function createContextLoaders(service: ContextService, scope: RequestScope) {
  const { tenantId } = scope.principal;
  return {
    context: createRowLoader({ scope, fetch: (ids) => service.findMany(tenantId, ids), keyOf: (row) => row.id, tagOf: (id) => `Context:${id}` }),
  };
}
