import type { SqlTransaction } from '#shared/sql.ts';
import { type Citation, storeCitations } from './governance.ts';
import type { SharedKeyState } from './mergeState.ts';
import type { ContextRow } from './rows.ts';
import { lockContexts } from './store.ts';

interface KeyRow {
  tenant_id: string;
  context_id: string;
  key: string;
  value: unknown;
  deleted: boolean;
  version: number;
  changed_ms: number;
  node_id: string;
}

/** A context's state under its lock, and what is to be written of it. */
export interface HeldState {
  row: ContextRow;
  readonly keys: Map<string, SharedKeyState>;
  readonly written: Map<string, SharedKeyState>;
  readonly citations: Citation[];
}

/** Whose state is changed, and by whom. */
export interface StateWriter {
  readonly tenantId: string;
  readonly contextId: string;
  readonly subject: string;
}

/** Locks the contexts and reads the keys their states hold. */
export async function holdStates(
  tx: SqlTransaction,
  writers: readonly StateWriter[],
): Promise<ReadonlyMap<string, HeldState>> {
  const rows = await lockContexts(
    tx,
    writers.map(({ tenantId, contextId }) => ({ tenantId, id: contextId })),
  );
  const held = new Map<string, HeldState>(
    rows.map((row) => [stateKey(row.tenantId, row.id), { row, keys: new Map(), written: new Map(), citations: [] }]),
  );
  const keys = (await tx.unsafe(
    `SELECT s.tenant_id, s.context_id, s.key, s.value, s.value IS NULL AS deleted, s.version, (extract(epoch FROM s.changed_at) * 1000)::float8 AS changed_ms, s.node_id
     FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, context_id) JOIN context.shared_key s USING (tenant_id, context_id)`,
    [rows.map((row) => row.tenantId), rows.map((row) => row.id)],
    { prepare: true },
  )) as unknown as KeyRow[];
  for (const { tenant_id, context_id, changed_ms, node_id, ...rest } of keys) {
    held
      .get(stateKey(tenant_id, context_id))!
      .keys.set(rest.key, { ...rest, changedAtMs: Math.round(changed_ms), nodeId: node_id });
  }
  return held;
}

export async function writeStates(
  tx: SqlTransaction,
  held: readonly HeldState[],
  writers: readonly StateWriter[],
): Promise<void> {
  const changed = held.filter(({ written }) => written.size > 0);
  if (changed.length === 0) return;
  const keys = changed.flatMap(({ row, written }) =>
    [...written.values()].map((state) => ({
      tenant_id: row.tenantId,
      context_id: row.id,
      key: state.key,
      // As text: a JSON null in a record set would become an SQL NULL, which is a deletion here.
      value: state.deleted ? null : JSON.stringify(state.value),
      version: state.version,
      changed_at: new Date(state.changedAtMs).toISOString(),
      node_id: state.nodeId,
    })),
  );
  await tx.unsafe(
    `INSERT INTO context.shared_key (tenant_id, context_id, key, value, version, changed_at, node_id)
     SELECT tenant_id, context_id, key, value::jsonb, version, changed_at, node_id
     FROM json_to_recordset($1::text::json) AS s(tenant_id text, context_id uuid, key text, value text, version int, changed_at timestamptz, node_id text)
     ON CONFLICT (tenant_id, context_id, key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version, changed_at = EXCLUDED.changed_at, node_id = EXCLUDED.node_id`,
    [JSON.stringify(keys)],
    { prepare: true },
  );
  const heads = changed.map(({ row }) => ({
    tenant_id: row.tenantId,
    id: row.id,
    version: row.sharedVersion,
    checksum: row.sharedChecksum,
    at: row.sharedUpdatedAt,
  }));
  await tx.unsafe(
    `UPDATE context.context c SET shared_version = h.version, shared_checksum = h.checksum, shared_updated_at = h.at, last_activity_at = GREATEST(c.last_activity_at, h.at)
     FROM json_to_recordset($1::text::json) AS h(tenant_id text, id uuid, version int, checksum text, at timestamptz) WHERE c.tenant_id = h.tenant_id AND c.id = h.id`,
    [JSON.stringify(heads)],
    { prepare: true },
  );
  await storeCitations(
    tx,
    changed.flatMap(({ citations }) => citations),
  );
  // Who writes is active; noted once a minute.
  await tx.unsafe(
    `UPDATE context.participant p SET last_activity_at = now() FROM unnest($1::text[], $2::uuid[], $3::text[]) AS w(tenant_id, context_id, subject)
     WHERE p.tenant_id = w.tenant_id AND p.context_id = w.context_id AND p.agent_id = w.subject AND p.status = 'ACTIVE' AND p.last_activity_at < now() - interval '1 minute'`,
    [
      writers.map(({ tenantId }) => tenantId),
      writers.map(({ contextId }) => contextId),
      writers.map(({ subject }) => subject),
    ],
    { prepare: true },
  );
}

export function stateKey(tenantId: string, contextId: string): string {
  return `${tenantId}/${contextId}`;
}
