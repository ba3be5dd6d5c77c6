import type { ProtocolDocument } from '#shared/codec.ts';
import type { ManifestRow } from './rows.ts';

/**
 * The frozen form; one that was made here gets its meta from its row. Imported events stand to the letter, what has happened
 * here behind them.
 */
export function toDocument(row: ManifestRow): ProtocolDocument {
  const { told = [], ...protocol } = row.protocol ?? {};
  const meta = {
    protocol_version: '1.0.0',
    schema_version: '1.0.0',
    created_at: row.createdAt,
    created_by: row.createdBy,
    updated_at: row.updatedAt,
    updated_by: row.updatedBy,
  };
  return {
    meta,
    ...protocol,
    core_id: row.id,
    protocol_version: row.protocolVersion,
    status: row.status,
    modules: row.modules,
    ...(told.length === 0 ? {} : { events: [...(protocol.events ?? []), ...told] }),
  };
}
