import type { RequestScope } from '#shared/context.ts';
import { createRowLoader } from '#shared/loaders.ts';
import type { TraceRow } from './rows.ts';
import type { TraceService } from './service.ts';
import { findTraces } from './store/traces.ts';

export type TraceLoaders = ReturnType<typeof createTraceLoaders>;

export function createTraceLoaders({ sql }: TraceService, scope: RequestScope) {
  return {
    trace: createRowLoader<string, TraceRow>({
      scope,
      fetch: (ids) => findTraces(sql, scope.principal.tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: (id) => `Trace:${id}`,
    }),
  };
}
