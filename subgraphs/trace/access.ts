import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { type Asked, createContextPrivacy, type Learn, viewerOf } from '#shared/contextPrivacy.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { noSuchTrace } from './noSuchTrace.ts';

export { type Learn, type Viewer, viewerOf } from '#shared/contextPrivacy.ts';

const privacy = createContextPrivacy('trace');
export const { findClosedContexts, noteListAccess } = privacy;

type Db = Sql | SqlTransaction;

const findVerdicts = (db: Db, principal: Principal, ids: readonly string[], learn?: Learn) =>
  privacy.findVerdicts(db, principal, { table: 'trace', ids }, learn);

/** Tag of everything that is seen because its context is. */
export const accessTag = (contextId: string) => `TraceContext:${contextId}`;

/**
 * Condition on a trace: the viewer may see it. The same rule as the context module's; a trace of no context is seen by
 * all, and one of a context that was not heard of yet by nobody: it may be private.
 */
export function visibleCondition(row: string, viewer: string): string {
  return `(${row}.context_id IS NULL OR ${privacy.visibleCondition(row, viewer)})`;
}

/** Condition on a trace: its context is known to be open to all. */
function openContext(row: string): string {
  return `EXISTS (SELECT 1 FROM trace.replica c WHERE c.tenant_id = ${row}.tenant_id AND c.type = 'Context'
     AND c.id = ${row}.context_id AND c.detail->>'visibility' IS DISTINCT FROM 'PRIVATE')`;
}

/** Condition on a trace: what it says is no secret to whoever reads a trace of the context, which is a parameter. */
export function sharedWith(row: string, contextId: string): string {
  return `(${row}.context_id IS NULL OR ${row}.context_id = ${contextId}::uuid OR ${openContext(row)})`;
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

/**
 * Of traces that several principals ask about at the same time, by place: those that are hidden from who asks, and those whose
 * context was not heard of yet, which may be.
 */
export async function findHidden(db: Db, asked: readonly Asked[]): Promise<ReadonlyMap<number, 'hidden' | 'unheard'>> {
  const places = asked.flatMap(({ principal, id }, at) => (viewerOf(principal) !== null && isId(id) ? [at] : []));
  const verdicts = await privacy.findVerdictsOfMany(
    db,
    'trace',
    places.map((at) => asked[at]!),
  );
  const found = new Map<number, 'hidden' | 'unheard'>();
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict?.hidden !== true) continue;
    found.set(places[index]!, verdict.unheard === null ? 'hidden' : 'unheard');
  }
  return found;
}
