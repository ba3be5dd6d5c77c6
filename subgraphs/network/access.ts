import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createContextPrivacy, type Learn, viewerOf } from '#shared/contextPrivacy.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

const privacy = createContextPrivacy('network');
export const { visibleCondition, isContextHidden, noteListAccess } = privacy;

type Db = Sql | SqlTransaction;

export const findVerdicts = (db: Db, principal: Principal, ids: readonly string[], learn?: Learn) =>
  privacy.findVerdicts(db, principal, { table: 'network', ids }, learn);

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `NetworkContext:${contextId}`;

/** @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there. */
export async function requireVisible(db: Db, principal: Principal, id: string): Promise<void> {
  if (viewerOf(principal) === null || !isId(id)) return;
  if ((await findVerdicts(db, principal, [id])).get(id) === true) throw unknownNetwork();
}

export function unknownNetwork(): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such network', { path: ['networkId'] });
}

/** Keeps the rows whose network the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rows: readonly Row[],
  { networkIdOf, learn }: { readonly networkIdOf: (row: Row) => string; readonly learn: Learn },
): Promise<readonly Row[]> {
  const ids = [...new Set(rows.map(networkIdOf))];
  if (ids.length === 0) return rows;
  const verdicts = await findVerdicts(db, scope.principal, ids, learn);
  const isOpen = (row: Row) => verdicts.get(networkIdOf(row)) === null;
  if (rows.every(isOpen)) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter((row) => isOpen(row) || verdicts.get(networkIdOf(row)) === false);
}
