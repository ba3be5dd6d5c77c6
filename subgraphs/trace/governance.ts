import { isLocked, type OverrideClaim, passLock } from '#shared/governanceOverride.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { TraceRow } from './rows.ts';
import { traceColumns } from './store/traces.ts';

const lockOf = { noun: 'trace', path: ['traceId'] } as const;

export const isLockedTrace = ({ governance }: Pick<TraceRow, 'governance'>): boolean => isLocked(governance);

/** @throws {GOVERNANCE_LOCKED} A locked trace takes nothing; what it takes an override for says so itself. */
export function requireUnlocked({ governance }: TraceRow): void {
  passLock(governance, null, lockOf);
}

/**
 * Lets a change of a locked trace pass with an override that opens it, which its governance remembers.
 * @throws {GOVERNANCE_LOCKED} without one. @throws {PERMISSION_DENIED} {CONFIRM_NOT_APPROVED} {UNAVAILABLE} with one that
 * does not open the lock.
 */
export async function openLock(tx: SqlTransaction, trace: TraceRow, claim: OverrideClaim | null): Promise<TraceRow> {
  const governance = passLock(trace.governance, claim, lockOf);
  if (governance === null) return trace;
  const [row] = (await tx.unsafe(
    `UPDATE trace.trace SET governance = $3::text::jsonb WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
    [trace.tenantId, trace.id, JSON.stringify(governance)],
    { prepare: true },
  )) as unknown as TraceRow[];
  return row!;
}
