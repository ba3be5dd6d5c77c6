import { type Access, participates } from '#shared/contextAudience.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { derivedId } from '../ids/traceIds.ts';
import { type AlertRow, alertTag, ruleTag } from './rows.ts';

/** The alerts of a tenant are one stream, so that a cursor stands for a place among all of them. */
export const alertStream = (tenantId: string) => derivedId(`alerts ${tenantId}`);

/** Who sees an alert of a private context; null of an alert that all see. */
export type AlertAccess = Omit<Access, 'visibility'>;

/** Who sees the contexts that are private, by `tenant/context`; nobody those that were not heard of yet. */
export async function findAccess(
  tx: Sql | SqlTransaction,
  places: readonly Pick<AlertRow, 'tenantId' | 'contextId'>[],
): Promise<ReadonlyMap<string, AlertAccess>> {
  const placed = places.filter(({ contextId }) => contextId !== null);
  if (placed.length === 0) return new Map();
  const rows = (await tx.unsafe(
    `SELECT DISTINCT a.tenant_id || '/' || a.id AS key, c.detail->>'ownerId' AS "ownerId", c.detail->'readers' AS readers, c.detail->'conditional' AS conditional, ARRAY(
       SELECT m.detail->>'agentId' FROM trace.replica m WHERE m.tenant_id = c.tenant_id AND m.type = 'ContextParticipant'
         AND m.detail->>'contextId' = c.id::text AND ${participates('m.status')} AND m.detail->>'agentId' IS NOT NULL) AS members
     FROM unnest($1::text[], $2::uuid[]) AS a(tenant_id, id)
     LEFT JOIN trace.replica c ON c.tenant_id = a.tenant_id AND c.type = 'Context' AND c.id = a.id
     WHERE c.id IS NULL OR c.detail->>'visibility' = 'PRIVATE'`,
    [placed.map(({ tenantId }) => tenantId), placed.map(({ contextId }) => contextId!)],
    { prepare: true },
  )) as unknown as (AlertAccess & { key: string })[];
  return new Map(rows.map(({ key, ...access }) => [key, access]));
}

export function alertEvent(
  change: 'raised' | 'repeated' | 'acknowledged' | 'resolved',
  alert: AlertRow,
  access: ReadonlyMap<string, AlertAccess>,
): NewEvent {
  return {
    streamId: alertStream(alert.tenantId),
    type: `trace.alert.${change}`,
    data: { alert, access: access.get(`${alert.tenantId}/${alert.contextId}`) ?? null },
    tags: [alertTag, ...(change === 'raised' ? [ruleTag] : [])],
  };
}
