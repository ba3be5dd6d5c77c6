import type { Principal } from '#shared/principal.ts';
import { holds, holdsIn } from '#shared/rights.ts';
import type { ConfirmRow } from './rows.ts';

/** Whether the principal administers the confirm: confirm:admin where the confirm lies. */
export function administers(principal: Principal, { contextId }: Pick<ConfirmRow, 'contextId'>): boolean {
  return contextId === null ? holds(principal, 'confirm:admin') : holdsIn(principal, 'confirm:admin', contextId);
}
