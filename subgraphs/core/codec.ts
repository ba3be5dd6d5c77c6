import { ConcurrentInsert, type ProtocolCodec } from '#shared/codec.ts';
import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { CoreDocument } from '../../schema/protocol/index.ts';
import { budgetStream } from './budgetEvents.ts';
import { toDocument } from './manifest/document.ts';
import type { ManifestRow } from './manifest/rows.ts';
import { observeCore, observedTypes } from './observability.ts';

/** Executions of a context that are looked at, the last ones. */
const maxObserved = 10_000;

export const manifestColumns = `m.tenant_id AS "tenantId", m.id, m.protocol_version AS "protocolVersion", m.status, m.modules, m.protocol, m.approval, m.pending, m.refusal, m.version,
  ${isoText('m.created_at')} AS "createdAt", m.created_by AS "createdBy", ${isoText('m.updated_at')} AS "updatedAt", m.updated_by AS "updatedBy"`;

export async function findManifests(
  db: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<ManifestRow[]> {
  return (await db.unsafe(
    `SELECT ${manifestColumns} FROM core.manifest m WHERE m.tenant_id = $1 AND m.id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as ManifestRow[];
}

/** Frozen manifests in and out. They belong to no context; workflows are none of their business. */
export const coreCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findManifests(sql, tenantId, ids);
    return new Map(rows.map((row) => [row.id, toDocument(row)]));
  },

  async write(tx, { tenantId, subject }, documents) {
    const manifests = documents.map((document) => document as unknown as CoreDocument);
    const input = manifests.map(({ core_id, protocol_version, status, modules, ...protocol }) => ({
      ...{ tenant_id: tenantId, id: core_id, protocol_version, status, modules, protocol, created_by: subject },
    }));
    const rows = (await tx.unsafe(
      `INSERT INTO core.manifest AS m (tenant_id, id, protocol_version, status, modules, protocol, created_by, updated_by)
       SELECT tenant_id, id, protocol_version, status, modules, protocol, created_by, created_by
       FROM json_to_recordset($1::text::json) AS x(tenant_id text, id uuid, protocol_version text, status text, modules jsonb, protocol jsonb, created_by text)
       ON CONFLICT DO NOTHING RETURNING ${manifestColumns}`,
      [JSON.stringify(input)],
      { prepare: true },
    )) as unknown as ManifestRow[];
    // Someone stored one of the ids since the caller looked.
    if (rows.length < manifests.length) throw new ConcurrentInsert();
    return rows.map((row) => ({
      tenantId,
      actor: subject,
      events: [
        {
          streamId: row.id,
          type: 'manifest.created',
          data: { manifest: row, imported: true },
          tags: [`CoreManifest:${row.id}`, 'manifests'],
        },
      ],
      audit: [{ action: 'manifest.import', resource: 'CoreManifest', resourceId: row.id }],
    }));
  },

  idsOfContext: async () => [],
  observe: observeCore,
  // Executions have an event for each step.
  observes: observedTypes,

  async observedIn(sql, tenantId, contextId) {
    const rows = (await sql.unsafe(
      `SELECT e.id FROM core.execution e WHERE e.tenant_id = $1 AND e.context_id = $2 ORDER BY e.created_at DESC, e.id LIMIT ${maxObserved}`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as { id: string }[];
    return [...rows.map(({ id }) => id), budgetStream(tenantId, contextId)];
  },
};
