import type { ExtensionRow } from './rows.ts';

const protocolVersion = '1.0.0';
const schemaVersion = '1.0.0';

/** The frozen MPLP form: snake_case, unset optionals absent, imported parts to the letter. */
export function toDocument(row: ExtensionRow): Record<string, unknown> {
  const kept = row.protocol ?? {};
  return {
    meta: kept.meta ?? {
      protocol_version: protocolVersion,
      schema_version: schemaVersion,
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    ...(row.governance === null ? {} : { governance: row.governance }),
    extension_id: row.id,
    context_id: row.contextId,
    name: row.name,
    extension_type: row.extensionType,
    version: row.version,
    status: row.status,
    ...(row.config === null ? {} : { config: row.config }),
    ...(kept.trace === undefined ? {} : { trace: kept.trace }),
    ...(kept.events === undefined ? {} : { events: kept.events }),
  };
}
