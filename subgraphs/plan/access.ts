import type { AuthTarget } from '#shared/auth.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createContextPrivacy, type Learn, viewerOf } from '#shared/contextPrivacy.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

const privacy = createContextPrivacy('plan');
export const { visibleCondition, findVerdicts, isContextHidden, noteListAccess } = privacy;

type Db = Sql | SqlTransaction;

/** What lies in a context and is seen with it. */
export type Guarded = 'plan' | 'execution' | 'session';

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `PlanContext:${contextId}`;

/** A plan, or a run of it, as rights are asked about it. */
export function planTarget({ planId, contextId }: { readonly planId: string; readonly contextId: string }): AuthTarget {
  return { type: 'Plan', id: planId, contextId, planId };
}

/** @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there. */
export async function requireVisible(db: Db, principal: Principal, table: Guarded, id: string): Promise<void> {
  if (viewerOf(principal) === null || !isId(id)) return;
  if ((await findVerdicts(db, principal, { table, ids: [id] })).get(id) === true)
    throw new PlatformError('NOT_FOUND', `no such ${table}`, { path: [`${table}Id`] });
}

/** Keeps the rows that the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row extends { readonly contextId: string }>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  asked: { readonly table: Guarded; readonly ids: readonly string[]; readonly learn: Learn },
  read: Promise<readonly Row[]>,
  idOf: (row: Row) => string,
): Promise<readonly Row[]> {
  const [rows, verdicts] = await Promise.all([read, findVerdicts(db, scope.principal, asked, asked.learn)]);
  for (const { contextId } of rows) scope.readTags.add(accessTag(contextId));
  // A row that came after the verdicts were sought has none, and may be private.
  const isOpen = (row: Row) => verdicts.get(idOf(row)) === null;
  if (rows.every(isOpen) && [...verdicts.values()].every((hidden) => hidden === null)) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter((row) => isOpen(row) || verdicts.get(idOf(row)) === false);
}
