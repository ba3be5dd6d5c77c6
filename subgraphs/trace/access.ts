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

/** Condition on a trace: the viewer may see it. The same rule as the context module's; a trace of no context is seen by all. */
export function visibleCondition(row: string, viewer: string): string {
  return `NOT EXISTS (SELECT 1 FROM trace.replica c WHERE c.tenant_id = ${row}.tenant_id AND c.id = ${row}.context_id AND ${privateContext('c')} AND ${foreign('c', viewer)})`;
}

/** Private contexts of the tenant that the viewer does not see. */
export async function findClosedContexts(db: Db, tenantId: string, viewer: Viewer): Promise<readonly string[]> {
  const rows = (await db.unsafe(
    `SELECT c.id FROM trace.replica c WHERE c.tenant_id = $1 AND ${privateContext('c')} AND ${foreign('c', '$2')}`,
    [tenantId, viewer as readonly string[] as string[]],
  )) as unknown as { id: string }[];
  return rows.map(({ id }) => id);
}

/** Traces that lie in private contexts, and whether they are hidden from the principal; most lie in none. */
export async function findRestricted(
  db: Db,
  principal: Principal,
  ids: readonly string[],
): Promise<ReadonlyMap<string, boolean>> {
  const rows = (await db.unsafe(
    `SELECT t.id, ${foreign('c', '$3')} AS hidden FROM trace.trace t JOIN trace.replica c ON c.tenant_id = t.tenant_id AND c.id = t.context_id AND ${privateContext('c')}
     WHERE t.tenant_id = $1 AND t.id = ANY($2::uuid[])`,
    [principal.tenantId, ids as string[], viewerOf(principal) as string[] | null],
    { prepare: true },
  )) as unknown as { id: string; hidden: boolean }[];
  return new Map(rows.map(({ id, hidden }) => [id, hidden]));
}

/** @throws {NOT_FOUND} where one lies in a private context of others, as if it were not there. */
export async function requireVisible(db: Db, principal: Principal, ids: readonly string[]): Promise<void> {
  if (viewerOf(principal) === null) return;
  const restricted = await findRestricted(db, principal, ids.filter(isId));
  const at = ids.findIndex((id) => restricted.get(id) === true);
  if (at >= 0) throw noSuchTrace(ids.length === 1 ? ['traceId'] : ['traceIds', at]);
}

/** Keeps the traces that the principal may see; an answer about private ones is nobody else's. */
export async function keepVisible<Row extends { readonly id: string; readonly contextId: string | null }>(
  db: Db,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  ids: readonly string[],
  read: Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const [rows, restricted] = await Promise.all([read, findRestricted(db, scope.principal, ids)]);
  for (const { contextId } of rows) if (contextId !== null) scope.readTags.add(accessTag(contextId));
  if (restricted.size === 0) return rows;
  scope.readTags.add(subjectBoundTag);
  return rows.filter(({ id }) => restricted.get(id) !== true);
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
