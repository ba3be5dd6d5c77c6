import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { manifestColumns } from '../codec.ts';
import { findLacks } from './needs.ts';
import type { ManifestChange, ManifestRow } from './rows.ts';

/** What a change makes of a manifest, and those that another took the place of. */
export type Changed = Partial<ManifestRow> & { readonly replaced?: readonly ManifestRow[] };
/** What is changed: the status, or the status of a module. */
export type Move = Pick<ManifestChange, 'status' | 'moduleId' | 'moduleStatus'>;

/** Where a manifest may go from each status. */
const moves: Readonly<Record<ManifestRow['status'], readonly ManifestRow['status'][]>> = {
  draft: ['active', 'archived'],
  active: ['deprecated'],
  deprecated: ['archived'],
  archived: [],
};

/** @throws {INVALID_STATE} where a module is off that another needs */
function requireWhole(modules: ManifestRow['modules']): void {
  const [lack] = findLacks(modules);
  if (lack)
    throw new PlatformError('INVALID_STATE', `${lack.module} is needed by ${lack.neededBy.join(', ')}`, {
      path: ['status'],
      details: { ...lack },
    });
}

/**
 * What a move would make of the manifest; nothing is stored.
 * @throws {INVALID_STATE_TRANSITION} {INVALID_STATE} for a module that is required or that others need, {NOT_FOUND} for one
 * it does not list
 */
export function planMove(row: ManifestRow, { status, moduleId, moduleStatus }: Move): Partial<ManifestRow> {
  if (status !== null) {
    if (!moves[row.status].includes(status))
      throw new PlatformError(
        'INVALID_STATE_TRANSITION',
        `expected ${moves[row.status].join(' or ') || 'no change'} after ${row.status}, got ${status}`,
        { path: ['status'] },
      );
    if (status === 'active') requireWhole(row.modules);
    return { status };
  }
  const module = row.modules.find((one) => one.module_id === moduleId);
  if (!module || moduleStatus === null)
    throw new PlatformError('NOT_FOUND', 'the manifest has no such module', { path: ['moduleId'] });
  if (moduleStatus === 'disabled' && module.required === true)
    throw new PlatformError('INVALID_STATE', `${moduleId} is required`, { path: ['status'] });
  const modules = row.modules.map((one) => (one === module ? { ...one, status: moduleStatus } : one));
  requireWhole(modules);
  return { modules };
}

/** Makes a move. One manifest of a tenant is active at a time: the one before is deprecated with it. */
export async function makeMove(tx: SqlTransaction, row: ManifestRow, by: Move & { readonly actor: string }) {
  const changed: Changed = planMove(row, by);
  if (by.status !== 'active') return changed;
  const replaced = (await tx.unsafe(
    `UPDATE core.manifest m SET status = 'deprecated', version = version + 1, updated_at = now(), updated_by = $3
     WHERE m.tenant_id = $1 AND m.status = 'active' AND m.id <> $2 RETURNING ${manifestColumns}`,
    [row.tenantId, row.id, by.actor],
    { prepare: true },
  )) as unknown as ManifestRow[];
  return { ...changed, replaced };
}
