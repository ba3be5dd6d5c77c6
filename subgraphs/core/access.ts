import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createContextPrivacy, type Learn, viewerOf } from '#shared/contextPrivacy.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

const privacy = createContextPrivacy('core');
export const { findClosedContexts, isContextHidden, noteListAccess } = privacy;

type Db = Sql | SqlTransaction;

/** Tables whose rows lie in a context. */
export type PlacedTable = 'execution' | 'allocation' | 'decision';

export const accessTag = (contextId: string) => `CoreContext:${contextId}`;

/**
 * Condition on a row with a context: the viewer may see it. What lies in no context is seen by all readers; what lies in
 * one that was not heard of yet by nobody, since it may be private.
 */
export function visibleCondition(row: string, viewer: string): string {
  return `(${row}.context_id IS NULL OR ${privacy.visibleCondition(row, viewer)})`;
}

/** Keeps the rows that the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row extends { readonly id: string; readonly contextId: string | null }>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  {
    table,
    ids,
    read,
    learn,
  }: {
    readonly table: PlacedTable;
    readonly ids: readonly string[];
    readonly read: Promise<readonly Row[]>;
    readonly learn: Learn;
  },
): Promise<readonly Row[]> {
  const [rows, verdicts] = await Promise.all([read, privacy.findVerdicts(db, scope.principal, { table, ids }, learn)]);
  for (const { contextId } of rows) if (contextId !== null) scope.readTags.add(accessTag(contextId));
  // A row that came after the verdicts were sought has none, and may be private.
  const isOpen = ({ id, contextId }: Row) => contextId === null || verdicts.get(id) === null;
  if (rows.every(isOpen) && [...verdicts.values()].every((hidden) => hidden === null)) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter((row) => isOpen(row) || verdicts.get(row.id) === false);
}

/** @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there. */
export async function requireVisible(
  db: Db,
  principal: Principal,
  { table, id, learn }: { readonly table: PlacedTable; readonly id: string; readonly learn?: Learn },
): Promise<void> {
  if (viewerOf(principal) === null || !isId(id)) return;
  const verdicts = await privacy.findVerdicts(db, principal, { table, ids: [id] }, learn);
  if (verdicts.get(id) === true) throw new PlatformError('NOT_FOUND', `no such ${table}`, { path: [`${table}Id`] });
}
