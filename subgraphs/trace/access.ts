import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { placesOf } from '#shared/rights.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { noSuchTrace } from './noSuchTrace.ts';

type Db = Sql | SqlTransaction;

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `TraceContext:${contextId}`;

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
     SELECT 1 FROM trace.replica m WHERE m.tenant_id = ${context}.tenant_id AND m.type = 'ContextParticipant' AND m.detail->>'agentId' = (${viewer}::text[])[1]
       AND m.detail->>'contextId' = ${context}.id::text AND m.status <> 'LEFT'))`;

/**
 * Condition on a trace: the viewer may see it. The same rule as the context module's; a trace of no context is seen by
 * all, and one of a context that was not heard of yet by nobody: it may be private.
 */
export function visibleCondition(row: string, viewer: string): string {
  return `(${row}.context_id IS NULL OR EXISTS (SELECT 1 FROM trace.replica c WHERE c.tenant_id = ${row}.tenant_id AND c.type = 'Context'
     AND c.id = ${row}.context_id AND (c.detail->>'visibility' IS DISTINCT FROM 'PRIVATE' OR NOT ${foreign('c', viewer)})))`;
}

/** Condition on a trace: its context is known to be open to all. */
export function openContext(row: string): string {
  return `EXISTS (SELECT 1 FROM trace.replica c WHERE c.tenant_id = ${row}.tenant_id AND c.type = 'Context'
     AND c.id = ${row}.context_id AND c.detail->>'visibility' IS DISTINCT FROM 'PRIVATE')`;
}

/** Private contexts of the tenant that the viewer does not see. */
export async function findClosedContexts(db: Db, tenantId: string, viewer: Viewer): Promise<readonly string[]> {
  const rows = (await db.unsafe(
    `SELECT c.id FROM trace.replica c WHERE c.tenant_id = $1 AND ${privateContext('c')} AND ${foreign('c', '$2')}`,
    [tenantId, viewer as readonly string[] as string[]],
  )) as unknown as { id: string }[];
  return rows.map(({ id }) => id);
}

/** Asks what is not known yet of contexts, as the principal sees them. */
export type Learn = (principal: Principal, contextIds: readonly string[]) => Promise<void>;

/**
 * Whether traces of contexts are hidden from the principal; null where the context is open to all. A context that was not
 * heard of counts as private, unless `learn` finds out more. What is not answered is not there or of no context.
 */
async function findVerdicts(
  db: Db,
  principal: Principal,
  ids: readonly string[],
  learn?: Learn,
): Promise<ReadonlyMap<string, boolean | null>> {
  const find = async () =>
    (await db.unsafe(
      `SELECT t.id, CASE WHEN c.id IS NULL THEN t.context_id END AS unheard,
         CASE WHEN c.id IS NULL THEN $3::text[] IS NOT NULL WHEN ${privateContext('c')} THEN ${foreign('c', '$3')} END AS hidden
       FROM trace.trace t LEFT JOIN trace.replica c ON c.tenant_id = t.tenant_id AND c.type = 'Context' AND c.id = t.context_id
       WHERE t.tenant_id = $1 AND t.id = ANY($2::uuid[]) AND t.context_id IS NOT NULL`,
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

/** Traces that lie in private contexts, and whether they are hidden from the principal; most lie in none. */
export async function findRestricted(
  db: Db,
  principal: Principal,
  ids: readonly string[],
  learn?: Learn,
): Promise<ReadonlyMap<string, boolean>> {
  const verdicts = await findVerdicts(db, principal, ids, learn);
  return new Map([...verdicts].flatMap(([id, hidden]) => (hidden === null ? [] : [[id, hidden] as const])));
}

/** @throws {NOT_FOUND} where one lies in a private context of others, as if it were not there. */
export async function requireVisible(
  db: Db,
  principal: Principal,
  ids: readonly string[],
  learn?: Learn,
): Promise<void> {
  if (viewerOf(principal) === null) return;
  const restricted = await findRestricted(db, principal, ids.filter(isId), learn);
  const at = ids.findIndex((id) => restricted.get(id) === true);
  if (at >= 0) throw noSuchTrace(ids.length === 1 ? ['traceId'] : ['traceIds', at]);
}

/** Keeps the traces that the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row extends { readonly id: string; readonly contextId: string | null }>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  ids: readonly string[],
  { read, learn }: { readonly read: Promise<readonly Row[]>; readonly learn: Learn },
): Promise<readonly Row[]> {
  const [rows, verdicts] = await Promise.all([read, findVerdicts(db, scope.principal, ids, learn)]);
  for (const { contextId } of rows) if (contextId !== null) scope.readTags.add(accessTag(contextId));
  // A row that came after the verdicts were sought has none, and may be private.
  const isOpen = ({ id, contextId }: Row) => contextId === null || verdicts.get(id) === null;
  if (rows.every(isOpen) && [...verdicts.values()].every((hidden) => hidden === null)) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter((row) => isOpen(row) || verdicts.get(row.id) === false);
}

/** Marks a list as its reader's own where the tenant has private contexts. */
export async function noteListAccess(db: Db, scope: Pick<RequestScope, 'principal' | 'readTags'>): Promise<void> {
  scope.readTags.add('traces');
  const [found] = await db.unsafe(
    `SELECT 1 FROM trace.replica c WHERE c.tenant_id = $1 AND ${privateContext('c')} LIMIT 1`,
    [scope.principal.tenantId],
    { prepare: true },
  );
  if (found) scope.readTags.add(subjectBoundTag);
}
