import { derivedId } from '#shared/derivedId.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { systemEvent } from './systemEvents.ts';

/** The stream of what budgets have to tell of a context: what its bundle has of them. */
export const budgetStream = (tenantId: string, contextId: string): string =>
  derivedId(`core:budgets:${tenantId}:${contextId}`);

export type BudgetEventType = 'budget.warning' | 'budget.exceeded';

/**
 * A budget that is near its end or would be passed: for who looks after the tenant, and for the context whose request it was, which may
 * be one that the former do not see.
 */
export function budgetEvents(
  tenantId: string,
  type: BudgetEventType,
  contextId: string | null,
  data: Readonly<Record<string, unknown>>,
): readonly NewEvent[] {
  const told = systemEvent(tenantId, type, data);
  if (contextId === null) return [told];
  return [told, { streamId: budgetStream(tenantId, contextId), type, data: { contextId, ...data }, tags: [] }];
}
