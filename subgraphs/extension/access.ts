import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createContextPrivacy, type Learn, privateContext, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

const privacy = createContextPrivacy('extension');
export const { noteListAccess } = privacy;

type Db = Sql | SqlTransaction;

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `ExtensionContext:${contextId}`;

/**
 * Condition on a row with a context: the viewer may see it. The same rule as the context module's; what lies in a context
 * that was not heard of yet is seen by nobody: it may be private.
 */
export function visibleCondition(row: string, viewer: string): string {
  return `(${viewer}::text[] IS NULL OR ${privacy.visibleCondition(row, viewer)})`;
}

/** Condition on a row with a context: the context is private, or was not heard of. */
export function restrictedCondition(row: string): string {
  return `NOT EXISTS (SELECT 1 FROM extension.replica c WHERE c.tenant_id = ${row}.tenant_id AND c.type = 'Context' AND c.id = ${row}.context_id
     AND c.detail->>'visibility' IS DISTINCT FROM 'PRIVATE')`;
}

/** Private contexts that the viewer sees all the same. */
export async function findGrantedContexts(db: Db, tenantId: string, viewer: Viewer): Promise<readonly string[]> {
  const rows = (await db.unsafe(
    `SELECT c.id FROM extension.replica c WHERE c.tenant_id = $1 AND c.type = 'Context' AND ${privateContext('c')} AND NOT ${privacy.foreign('c', '$2')}`,
    [tenantId, viewer as readonly string[] as string[]],
    { prepare: true },
  )) as unknown as { id: string }[];
  return rows.map(({ id }) => id);
}

/**
 * Whether contexts are hidden from the principal; null where one is open to all. One that was not heard of counts as
 * private, unless `learn` finds out more.
 */
export async function findVerdicts(
  db: Db,
  principal: Principal,
  contextIds: readonly string[],
  learn?: Learn,
): Promise<ReadonlyMap<string, boolean | null>> {
  const viewer = viewerOf(principal);
  const find = async (ids: readonly string[]) =>
    (await db.unsafe(
      `SELECT c.id, CASE WHEN ${privateContext('c')} THEN ${privacy.foreign('c', '$3')} END AS hidden
       FROM extension.replica c WHERE c.tenant_id = $1 AND c.type = 'Context' AND c.id = ANY($2::uuid[])`,
      [principal.tenantId, ids as string[], viewer as string[] | null],
      { prepare: true },
    )) as unknown as { id: string; hidden: boolean | null }[];
  const ids = [...new Set(contextIds)];
  if (ids.length === 0) return new Map();
  const verdicts = new Map((await find(ids)).map(({ id, hidden }) => [id, hidden]));
  const unheard = ids.filter((id) => !verdicts.has(id));
  if (unheard.length > 0 && learn !== undefined) {
    await learn(principal, unheard);
    for (const { id, hidden } of await find(unheard)) verdicts.set(id, hidden);
  }
  for (const id of ids) if (!verdicts.has(id)) verdicts.set(id, viewer !== null);
  return verdicts;
}

/** Keeps the rows that the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row extends { readonly contextId: string }>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rows: readonly Row[],
  learn: Learn,
): Promise<readonly Row[]> {
  const verdicts = await findVerdicts(
    db,
    scope.principal,
    rows.map(({ contextId }) => contextId),
    learn,
  );
  for (const contextId of verdicts.keys()) scope.readTags.add(accessTag(contextId));
  if ([...verdicts.values()].every((hidden) => hidden === null)) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter(({ contextId }) => verdicts.get(contextId) !== true);
}
