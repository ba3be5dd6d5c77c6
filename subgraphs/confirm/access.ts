import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createContextPrivacy, type Learn, viewerOf } from '#shared/contextPrivacy.ts';
import type { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ConfirmRow } from './rows.ts';
import { findConfirms } from './store.ts';
import { unknownConfirm } from './unknownConfirm.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

/**
 * Who asked for a confirm, and who decides or decided it or is responsible for one of its conditions, sees it wherever it
 * lies: nobody decides what he cannot read.
 */
const hasPart = (confirm: string, viewer: string) =>
  `(coalesce((${viewer}::text[])[1] IN (${confirm}.requested_by, ${confirm}.created_by), false) OR EXISTS (
     SELECT 1 FROM confirm.approver part WHERE part.tenant_id = ${confirm}.tenant_id AND part.confirm_id = ${confirm}.id
       AND part.subject = (${viewer}::text[])[1]))`;

const privacy = createContextPrivacy('confirm', { hasPart });
export const { isContextHidden, noteListAccess } = privacy;

type Db = Sql | SqlTransaction;

/** Of confirms in private contexts whether they are hidden from the principal; null for those that are open to all. */
export const findVerdicts = (db: Db, principal: Principal, ids: readonly string[], learn?: Learn) =>
  privacy.findVerdicts(db, principal, { table: 'confirm', ids }, learn);

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `ConfirmContext:${contextId}`;

/** Condition on a confirm: the viewer may see it. One of no context is seen by all. */
export function visibleCondition(row: string, viewer: string): string {
  return `(${row}.context_id IS NULL OR ${privacy.visibleCondition(row, viewer)})`;
}

/** `visibleCondition` for a principal; null where it sees all. */
export function visibleTo(principal: Principal, row: string, param: (value: unknown) => string): string | null {
  const viewer = viewerOf(principal);
  return viewer === null ? null : visibleCondition(row, param(viewer));
}

export interface ConfirmAccess {
  /**
   * @param unknown what is thrown of one that is not there. @default unknownConfirm
   * @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there.
   */
  requireVisible(principal: Principal, confirmId: string, unknown?: PlatformError): Promise<void>;
  /** @throws {NOT_FOUND} unless it is there and may be seen. */
  requireConfirm(principal: Principal, confirmId: string): Promise<ConfirmRow>;
}

/** Finds confirms for who asks about them. */
export function createConfirmAccess(
  { sql, keyedSql }: { readonly sql: Sql; readonly keyedSql: Sql },
  learn: Learn,
): ConfirmAccess {
  const requireVisible: ConfirmAccess['requireVisible'] = async (principal, confirmId, unknown) => {
    if (viewerOf(principal) === null || !isId(confirmId)) return;
    if ((await findVerdicts(keyedSql, principal, [confirmId], learn)).get(confirmId) === true)
      throw unknown ?? unknownConfirm(confirmId);
  };

  return {
    requireVisible,
    async requireConfirm(principal, confirmId) {
      const [[row]] = await Promise.all([
        findConfirms(sql, principal.tenantId, [confirmId]),
        requireVisible(principal, confirmId),
      ]);
      if (!row) throw unknownConfirm(confirmId);
      return row;
    },
  };
}

/** Keeps the rows whose confirm the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rows: readonly Row[],
  { confirmIdOf, learn }: { readonly confirmIdOf: (row: Row) => string; readonly learn: Learn },
): Promise<readonly Row[]> {
  const ids = [...new Set(rows.map(confirmIdOf))];
  if (ids.length === 0) return rows;
  const verdicts = await findVerdicts(db, scope.principal, ids, learn);
  // What has no verdict is of no context: its confirm was there before.
  return keep(scope, rows, new Map(ids.map((id) => [id, verdicts.get(id) ?? null])), confirmIdOf);
}

/** `keepVisible` of confirms while they are read. */
export async function keepVisibleConfirms(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  ids: readonly string[],
  { read, learn }: { readonly read: Promise<readonly ConfirmRow[]>; readonly learn: Learn },
): Promise<readonly ConfirmRow[]> {
  const [rows, verdicts] = await Promise.all([read, findVerdicts(db, scope.principal, ids, learn)]);
  const known = new Map(verdicts);
  for (const { id, contextId } of rows) {
    if (contextId !== null) scope.readTags.add(accessTag(contextId));
    // One that came after the verdicts were sought has none, and may be private.
    else known.set(id, null);
  }
  return keep(scope, rows, known, ({ id }) => id);
}

function keep<Row>(
  scope: Pick<RequestScope, 'readTags'>,
  rows: readonly Row[],
  verdicts: ReadonlyMap<string, boolean | null>,
  idOf: (row: Row) => string,
): readonly Row[] {
  const isOpen = (row: Row) => verdicts.get(idOf(row)) === null;
  if (rows.every(isOpen) && [...verdicts.values()].every((hidden) => hidden === null)) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter((row) => isOpen(row) || verdicts.get(idOf(row)) === false);
}
