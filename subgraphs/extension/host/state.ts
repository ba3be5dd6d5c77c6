import { PlatformError } from '#shared/errors.ts';
import type { HostSituation } from './operations.ts';
import { maxStateBytes } from './stateBounds.ts';

/** What one extension may keep. */
const maxKeys = 1_000;

const keyed = ({ runtime }: HostSituation) => runtime.keyedSql ?? runtime.sql;

export async function getState(situation: HostSituation, key: string): Promise<unknown> {
  const { tenantId, id } = situation.extension;
  const [row] = (await keyed(situation).unsafe(
    'SELECT value FROM extension.state WHERE tenant_id = $1 AND extension_id = $2 AND key = $3',
    [tenantId, id, key],
    { prepare: true },
  )) as unknown as { value: unknown }[];
  return row?.value ?? null;
}

export async function listStateKeys(situation: HostSituation, prefix: string): Promise<readonly string[]> {
  const { tenantId, id } = situation.extension;
  const rows = (await keyed(situation).unsafe(
    'SELECT key FROM extension.state WHERE tenant_id = $1 AND extension_id = $2 AND starts_with(key, $3) ORDER BY key',
    [tenantId, id, prefix],
    { prepare: true },
  )) as unknown as { key: string }[];
  return rows.map(({ key }) => key);
}

/** @throws {QUOTA_EXCEEDED} over 1,000 keys, 1 MiB or the release's own `storage_limit` */
export async function setState(situation: HostSituation, key: string, value: unknown): Promise<null> {
  const { tenantId, id } = situation.extension;
  const text = JSON.stringify(value ?? null);
  const size = Buffer.byteLength(text) + Buffer.byteLength(key);
  await situation.runtime.sql.begin(async (tx) => {
    // One writer at a time: two could each find room for themselves.
    await tx.unsafe('SELECT pg_advisory_xact_lock(hashtextextended($1, 4706))', [`${tenantId}/${id}`]);
    const [others] = (await tx.unsafe(
      `SELECT count(*)::int AS keys, coalesce(sum(size_bytes), 0)::int AS bytes,
         (SELECT (r.manifest->'resource_requirements'->>'storage_limit')::float8 FROM extension.extension e
          JOIN extension.release r ON r.tenant_id = e.tenant_id AND r.id = e.current_release_id
          WHERE e.tenant_id = $1 AND e.id = $2) AS "storageMb"
       FROM extension.state WHERE tenant_id = $1 AND extension_id = $2 AND key <> $3`,
      [tenantId, id, key],
      { prepare: true },
    )) as unknown as { keys: number; bytes: number; storageMb: number | null }[];
    const { storageMb } = others!;
    const maxBytes = storageMb === null ? maxStateBytes : Math.min(maxStateBytes, Math.floor(storageMb * 1_048_576));
    if (others!.keys >= maxKeys || others!.bytes + size > maxBytes)
      throw new PlatformError('QUOTA_EXCEEDED', `this extension keeps at most ${maxKeys} keys and ${maxBytes} bytes`);
    await tx.unsafe(
      `INSERT INTO extension.state (tenant_id, extension_id, key, value, size_bytes) VALUES ($1, $2, $3, $4::text::jsonb, $5)
       ON CONFLICT (tenant_id, extension_id, key) DO UPDATE SET value = EXCLUDED.value, size_bytes = EXCLUDED.size_bytes, updated_at = now()`,
      [tenantId, id, key, text, size],
      { prepare: true },
    );
  });
  return null;
}

export async function deleteState(situation: HostSituation, key: string): Promise<boolean> {
  const { tenantId, id } = situation.extension;
  const rows = await keyed(situation).unsafe(
    'DELETE FROM extension.state WHERE tenant_id = $1 AND extension_id = $2 AND key = $3 RETURNING key',
    [tenantId, id, key],
    { prepare: true },
  );
  return rows.length > 0;
}
