import type { SubgraphName } from '../names.ts';
import { type Access, type ContextKey, participates, seesPrivate } from './contextAudience.ts';
import type { EphemeralEvent, EventRow } from './events.ts';
import { isId } from './ids.ts';
import type { Principal } from './principal.ts';
import type { Sql, SqlTransaction } from './sql.ts';

/**
 * Who sees a private context that its list shows under conditions, as JSON of an `Access`; null of every other: SQL.
 * @param key expressions of tenant and id
 */
export function conditionalAccess(schema: SubgraphName, { tenantId, contextId }: ContextKey): string {
  return `(SELECT ${accessJson(schema, 'seen')} FROM ${schema}.replica seen
     WHERE seen.tenant_id = ${tenantId} AND seen.type = 'Context' AND seen.id = ${contextId} AND ${conditional('seen')})`;
}

/** The same of all such contexts of a tenant, by id. */
export function conditionalAccesses(schema: SubgraphName, tenantId: string): string {
  return `(SELECT coalesce(jsonb_object_agg(seen.id, ${accessJson(schema, 'seen')}), '{}') FROM ${schema}.replica seen
     WHERE seen.tenant_id = ${tenantId} AND seen.type = 'Context' AND ${conditional('seen')})`;
}

const conditional = (context: string) =>
  `${context}.detail->>'visibility' = 'PRIVATE' AND ${context}.detail ? 'conditional'`;

const accessJson = (
  schema: SubgraphName,
  context: string,
) => `jsonb_build_object('visibility', ${context}.detail->'visibility',
     'ownerId', ${context}.detail->'ownerId', 'readers', ${context}.detail->'readers', 'conditional', ${context}.detail->'conditional',
     'members', ARRAY(SELECT DISTINCT m.detail->>'agentId' FROM ${schema}.replica m WHERE m.tenant_id = ${context}.tenant_id
       AND m.type = 'ContextParticipant' AND m.detail->>'contextId' = ${context}.id::text AND ${participates('m.status')}))`;

export interface FollowedContext {
  readonly contextId: string | null;
  /** `conditionalAccess` at admission. */
  readonly access: Access | null;
  /** Whether who follows sees it wherever it lies. @default never */
  readonly hasPart?: (event: EventRow | EphemeralEvent) => boolean;
}

/** The context that a row of a table lies in, as `followSight` takes it; undefined where there is no such row. */
export async function findPlace(
  sql: Pick<Sql | SqlTransaction, 'unsafe'>,
  { schema, table }: { readonly schema: SubgraphName; readonly table: string },
  { tenantId, id }: { readonly tenantId: string; readonly id: unknown },
): Promise<FollowedContext | undefined> {
  if (!isId(id)) return undefined;
  const [row] = (await sql.unsafe(
    `SELECT r.context_id AS "contextId", ${conditionalAccess(schema, { tenantId: 'r.tenant_id', contextId: 'r.context_id' })} AS access
     FROM ${schema}.${table} r WHERE r.tenant_id = $1 AND r.id = $2`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as FollowedContext[];
  return row;
}

/**
 * Says of each event of a stream whether who follows still sees the context, in their order, and never again once it did
 * not. What a list shows under conditions is asked at each event: time goes by, and what is recorded of a subject changes.
 */
export function followSight(
  principal: Principal,
  { contextId, access, hasPart = () => false }: FollowedContext,
): (event: EventRow | EphemeralEvent) => boolean {
  let standing = access;
  let isOver = false;
  return (event) => {
    if (isOver) return false;
    const told = event.type === 'access.changed' ? (event.data['access'] as Access | undefined) : undefined;
    if (told !== undefined) standing = told.visibility === 'PRIVATE' ? told : null;
    else if (!standing?.conditional?.length) return true;
    isOver = standing !== null && !hasPart(event) && !seesPrivate(standing, principal, contextId);
    return !isOver;
  };
}
