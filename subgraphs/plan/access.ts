import type { AuthTarget } from '#shared/auth.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { placesOf } from '#shared/rights.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';

type Db = Sql | SqlTransaction;

/** What lies in a context and is seen with it. */
export type Guarded = 'plan' | 'execution' | 'session';

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `PlanContext:${contextId}`;

/** The subject; whether it sees contexts whoever takes part in them; the contexts of which the other is true. */
export type Viewer = readonly [subject: string, admin: 'everywhere' | 'nowhere', ...except: string[]];

/** A parameter of conditions, as a text[]; null for who sees all contexts whoever takes part in them. */
export function viewerOf(principal: Principal): Viewer | null {
  const { everywhere, except } = placesOf(principal, ['context:admin']);
  if (everywhere && except.length === 0) return null;
  return [principal.subject, everywhere ? 'everywhere' : 'nowhere', ...except];
}

/** A plan, or a run of it, as rights are asked about it. */
export function planTarget({ planId, contextId }: { readonly planId: string; readonly contextId: string }): AuthTarget {
  return { type: 'Plan', id: planId, contextId, planId };
}

const privateContext = (context: string) =>
  `${context}.type = 'Context' AND ${context}.detail->>'visibility' = 'PRIVATE'`;

/** Condition on a private context of the replica: neither the viewer's own nor one that it administers or takes part in. */
const foreign = (context: string, viewer: string) =>
  `(${viewer}::text[] IS NOT NULL AND ((${viewer}::text[])[2] = 'everywhere') = (${context}.id::text = ANY ((${viewer}::text[])[3:]))
     AND ${context}.detail->>'ownerId' IS DISTINCT FROM (${viewer}::text[])[1] AND NOT EXISTS (
     SELECT 1 FROM plan.replica m WHERE m.tenant_id = ${context}.tenant_id AND m.type = 'ContextParticipant' AND m.detail->>'agentId' = (${viewer}::text[])[1]
       AND m.detail->>'contextId' = ${context}.id::text AND m.status <> 'LEFT'))`;

/**
 * Condition on a row with a context: the viewer may see it. The same rule as the context module's; what lies in a context
 * that was not heard of yet is seen by nobody: it may be private.
 */
export function visibleCondition(row: string, viewer: string): string {
  return `EXISTS (SELECT 1 FROM plan.replica c WHERE c.tenant_id = ${row}.tenant_id AND c.type = 'Context' AND c.id = ${row}.context_id
     AND (c.detail->>'visibility' IS DISTINCT FROM 'PRIVATE' OR NOT ${foreign('c', viewer)}))`;
}

/** Asks what is not known yet of contexts, as the principal sees them. */
export type Learn = (principal: Principal, contextIds: readonly string[]) => Promise<void>;

/**
 * Whether plans or runs are hidden from the principal; null where their context is open to all. A context that was not
 * heard of counts as private, unless `learn` finds out more. What is not answered is not there.
 */
export async function findVerdicts(
  db: Db,
  principal: Principal,
  { table, ids }: { readonly table: Guarded; readonly ids: readonly string[] },
  learn?: Learn,
): Promise<ReadonlyMap<string, boolean | null>> {
  const find = async () =>
    (await db.unsafe(
      `SELECT p.id, CASE WHEN c.id IS NULL THEN p.context_id END AS unheard,
         CASE WHEN c.id IS NULL THEN $3::text[] IS NOT NULL WHEN ${privateContext('c')} THEN ${foreign('c', '$3')} END AS hidden
       FROM plan.${table} p LEFT JOIN plan.replica c ON c.tenant_id = p.tenant_id AND c.type = 'Context' AND c.id = p.context_id
       WHERE p.tenant_id = $1 AND p.id = ANY($2::uuid[])`,
      [principal.tenantId, ids as string[], viewerOf(principal) as string[] | null],
      { prepare: true },
    )) as unknown as { id: string; unheard: string | null; hidden: boolean | null }[];
  let rows = await find();
  const unheard = [...new Set(rows.flatMap((row) => (row.unheard === null ? [] : [row.unheard])))];
  if (unheard.length > 0 && learn !== undefined) {
    await learn(principal, unheard);
    rows = await find();
  }
  return new Map(rows.map(({ id, hidden }) => [id, hidden]));
}

/** @throws {NOT_FOUND} where it lies in a private context of others, as if it were not there. */
export async function requireVisible(db: Db, principal: Principal, table: Guarded, id: string): Promise<void> {
  if (viewerOf(principal) === null || !isId(id)) return;
  if ((await findVerdicts(db, principal, { table, ids: [id] })).get(id) === true)
    throw new PlatformError('NOT_FOUND', `no such ${table}`, { path: [`${table}Id`] });
}

/** Whether a private context is hidden from the principal, as far as this module has heard. */
export async function isContextHidden(db: Db, principal: Principal, contextId: string): Promise<boolean> {
  const [row] = (await db.unsafe(
    `SELECT ${foreign('c', '$3')} AS hidden FROM plan.replica c WHERE c.tenant_id = $1 AND c.id = $2 AND ${privateContext('c')}`,
    [principal.tenantId, contextId, viewerOf(principal) as string[] | null],
    { prepare: true },
  )) as unknown as { hidden: boolean }[];
  return row?.hidden ?? false;
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

/** Marks a list as its reader's own where the tenant has private contexts. */
export async function noteListAccess(db: Db, scope: Pick<RequestScope, 'principal' | 'readTags'>): Promise<void> {
  const [found] = await db.unsafe(
    `SELECT 1 FROM plan.replica c WHERE c.tenant_id = $1 AND ${privateContext('c')} LIMIT 1`,
    [scope.principal.tenantId],
    { prepare: true },
  );
  if (found) scope.readTags.add(subjectBoundTag);
}
