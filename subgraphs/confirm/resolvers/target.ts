import { isId } from '#shared/ids.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import type { ConfirmRow } from '../rows.ts';

/** What an object of the graph is called there, by the type that a confirm gives it. */
const typenames: Readonly<Record<string, 'Context' | 'Extension' | 'Plan' | 'Trace'>> = {
  context: 'Context',
  extension: 'Extension',
  plan: 'Plan',
  trace: 'Trace',
};

/** The object as the graph knows it; null for what no subgraph serves. */
export function targetOf({ targetType, targetId }: { readonly targetType: string; readonly targetId: string }) {
  const __typename = typenames[targetType];
  return __typename === undefined ? null : { __typename, id: targetId };
}

/** The trace its document names, else that of its context. */
export function traceOf({ tenantId, contextId, protocol }: Pick<ConfirmRow, 'tenantId' | 'contextId' | 'protocol'>) {
  const named = (protocol?.trace as { readonly trace_id?: unknown } | undefined)?.trace_id;
  if (isId(named)) return { id: named };
  return contextId === null ? null : { id: contextTraceId(tenantId, contextId) };
}
