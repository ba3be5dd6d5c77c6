import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import { placesOf } from '#shared/rights.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { unknownCollab } from './commands.ts';

type Db = Pick<Sql | SqlTransaction, 'unsafe'>;

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `CollabContext:${contextId}`;

/** The subject; whether it sees contexts whoever takes part in them; the contexts of which the other is true. */
export type Viewer = readonly [subject: string, admin: 'everywhere' | 'nowhere', ...except: string[]];

/** A parameter of conditions, as a text[]; null for who sees all contexts whoever takes part in them. */
export function viewerOf(principal: Principal): Viewer | null {
  const { everywhere, except } = placesOf(principal, ['context:admin']);
  if (everywhere && except.length === 0) return null;
  return [principal.subject, everywhere ? 'everywhere' : 'nowhere', ...except];
}

const privateContext = (context: string) =>
  `${context}.type = 'Context' AND ${context}.detail->>'visibility' = 'PRIVATE'`;

/** Condition on a private context of the replica: neither the viewer's own nor one that it administers or takes part in. */
const foreign = (context: string, viewer: string) =>
  `(${viewer}::text[] IS NOT NULL AND ((${viewer}::text[])[2] = 'everywhere') = (${context}.id::text = ANY ((${viewer}::text[])[3:]))
     AND ${context}.detail->>'ownerId' IS DISTINCT FROM (${viewer}::text[])[1] AND NOT EXISTS (
     SELECT 1 FROM collab.replica m WHERE m.tenant_id = ${context}.tenant_id AND m.type = 'ContextParticipant' AND m.detail->>'agentId' = (${viewer}::text[])[1]
       AND m.detail->>'contextId' = ${context}.id::text AND m.status <> 'LEFT'))`;

/**
 * Condition on a collaboration: the viewer may see it. The same rule as the context module's; what lies in a context that
 * was not heard of yet is seen by nobody: it may be private.
 */
export function visibleCondition(row: string, viewer: string): string {
  return `EXISTS (SELECT 1 FROM collab.replica r WHERE r.tenant_id = ${row}.tenant_id AND r.type = 'Context' AND r.id = ${row}.context_id
     AND (r.detail->>'visibility' IS DISTINCT FROM 'PRIVATE' OR NOT ${foreign('r', viewer)}))`;
}

/** Asks what is not known yet of contexts, as the principal sees them. */
export type Learn = (principal: Principal, contextIds: readonly string[]) => Promise<void>;

/**
 * Whether collaborations are hidden from the principal; null where their context is open to all. A context that was not
 * heard of counts as private, unless `learn` finds out more. What is not answered is not there.
 */
async function findVerdicts(
  db: Db,
  principal: Principal,
  ids: readonly string[],
  learn?: Learn,
): Promise<ReadonlyMap<string, boolean | null>> {
  if (ids.length === 0) return new Map();
  const ask = async () =>
    (await db.unsafe(
      `SELECT c.id, CASE WHEN r.id IS NULL THEN c.context_id END AS unheard,
         CASE WHEN r.id IS NULL THEN $3::text[] IS NOT NULL WHEN ${privateContext('r')} THEN ${foreign('r', '$3')} END AS hidden
       FROM collab.collaboration c LEFT JOIN collab.replica r ON r.tenant_id = c.tenant_id AND r.type = 'Context' AND r.id = c.context_id
       WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
      [principal.tenantId, ids as string[], viewerOf(principal) as string[] | null],
      { prepare: true },
    )) as unknown as { id: string; unheard: string | null; hidden: boolean | null }[];
  let rows = await ask();
  const unheard = [...new Set(rows.flatMap((row) => (row.unheard === null ? [] : [row.unheard])))];
  if (unheard.length > 0 && learn !== undefined) {
    await learn(principal, unheard);
    rows = await ask();
  }
  return new Map(rows.map(({ id, hidden }) => [id, hidden]));
}

/** @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there. */
export async function requireVisible(db: Db, principal: Principal, id: string, learn?: Learn): Promise<void> {
  if (viewerOf(principal) === null) return;
  if ((await findVerdicts(db, principal, [id], learn)).get(id) === true) throw unknownCollab(id);
}

/** Whether a private context is hidden from the principal, as far as this module has heard. */
export async function isContextHidden(db: Db, principal: Principal, contextId: string): Promise<boolean> {
  const [row] = (await db.unsafe(
    `SELECT ${foreign('r', '$3')} AS hidden FROM collab.replica r WHERE r.tenant_id = $1 AND r.id = $2 AND ${privateContext('r')}`,
    [principal.tenantId, contextId, viewerOf(principal) as string[] | null],
    { prepare: true },
  )) as unknown as { hidden: boolean }[];
  return row?.hidden ?? false;
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

/** Marks a list as its reader's own where the tenant has private contexts. */
export async function noteListAccess(db: Db, scope: Pick<RequestScope, 'principal' | 'readTags'>): Promise<void> {
  const [found] = await db.unsafe(
    `SELECT 1 FROM collab.replica r WHERE r.tenant_id = $1 AND ${privateContext('r')} LIMIT 1`,
    [scope.principal.tenantId],
    { prepare: true },
  );
  if (found) scope.readTags.add(subjectBoundTag);
}
