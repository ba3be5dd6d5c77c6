import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createContextPrivacy, type Learn, viewerOf } from '#shared/contextPrivacy.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { unknownCollab } from './commands.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

const privacy = createContextPrivacy('collab');
export const { visibleCondition, isContextHidden, noteListAccess } = privacy;

type Db = Pick<Sql | SqlTransaction, 'unsafe'>;

const findVerdicts = (db: Db, principal: Principal, ids: readonly string[], learn?: Learn) =>
  privacy.findVerdicts(db, principal, { table: 'collaboration', ids }, learn);

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `CollabContext:${contextId}`;

/** @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there. */
export async function requireVisible(db: Db, principal: Principal, id: string, learn?: Learn): Promise<void> {
  if (viewerOf(principal) === null) return;
  if ((await findVerdicts(db, principal, [id], learn)).get(id) === true) throw unknownCollab(id);
}

/** Keeps the rows whose collaboration the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row>(
  {
    db,
    scope,
    learn,
  }: { readonly db: Db; readonly scope: Pick<RequestScope, 'principal' | 'readTags'>; readonly learn: Learn },
  rows: readonly Row[],
  collabIdOf: (row: Row) => string,
): Promise<readonly Row[]> {
  const verdicts = await findVerdicts(db, scope.principal, [...new Set(rows.map(collabIdOf))], learn);
  if ([...verdicts.values()].some((hidden) => hidden !== null)) scope.readTags.add(subjectBoundTag);
  return rows.filter((row) => {
    const hidden = verdicts.get(collabIdOf(row));
    return hidden === null || hidden === false;
  });
}
