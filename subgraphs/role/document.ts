import { compareText } from './hierarchy/order.ts';
import type { RoleRow } from './rows.ts';

/** Tags `resource.action` of the role's own unconditional permissions, and those an imported document named. */
export function ownCapabilities(row: RoleRow): readonly string[] {
  const denied = new Set<string>();
  const tags = new Set(row.capabilities);
  for (const permission of row.permissions) {
    const { resourceType, resourceId, actions, effect, scope, conditions, approvalRequired } = permission;
    const isWhole = (resourceId === undefined || resourceId === '*') && scope === undefined && conditions === undefined;
    const isTimed = permission.validFromMs !== undefined || permission.expiresAtMs !== undefined;
    if (!isWhole || isTimed) continue;
    for (const action of actions) {
      const tag = `${resourceType}.${action}`;
      if (effect === 'deny') denied.add(tag);
      else if (approvalRequired === undefined) tags.add(tag);
    }
  }
  return [...tags].filter((tag) => !denied.has(tag)).sort(compareText);
}

/** The frozen MPLP form: snake_case, unset optionals absent, imported date-times to the letter. */
export function toDocument(
  row: RoleRow,
  capabilities: readonly string[] = ownCapabilities(row),
): Record<string, unknown> {
  const kept = row.protocol;
  const isAsImported = kept !== null && row.version === 1;
  const document: Record<string, unknown> = {
    meta: kept?.meta ?? {
      protocol_version: '1.0.0',
      schema_version: '1.0.0',
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    role_id: row.id,
    name: row.name,
  };
  const tags = isAsImported ? row.capabilities : capabilities;
  if (row.governance !== null) document['governance'] = row.governance;
  if (row.description !== null) document['description'] = row.description;
  if (tags.length > 0 || kept?.hasCapabilities) document['capabilities'] = tags;
  const createdAt = kept === null ? row.createdAt : kept.createdAt;
  const updatedAt = isAsImported ? kept.updatedAt : row.updatedAt;
  if (createdAt !== undefined) document['created_at'] = createdAt;
  if (updatedAt !== undefined) document['updated_at'] = updatedAt;
  if (kept?.trace !== undefined) document['trace'] = kept.trace;
  if (kept?.events !== undefined) document['events'] = kept.events;
  return document;
}
