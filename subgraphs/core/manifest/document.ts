import type { ProtocolDocument } from '#shared/codec.ts';
import type { ManifestRow } from './rows.ts';

/** The frozen form; one that was made here gets its meta from its row. */
export function toDocument(row: ManifestRow): ProtocolDocument {
  const protocol = row.protocol ?? {
    meta: {
      protocol_version: '1.0.0',
      schema_version: '1.0.0',
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
  };
  return {
    ...protocol,
    core_id: row.id,
    protocol_version: row.protocolVersion,
    status: row.status,
    modules: row.modules,
  };
}
