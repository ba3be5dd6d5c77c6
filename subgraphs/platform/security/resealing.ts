import type { Sql } from '#shared/sql.ts';
import { type Keyring, versionOf } from './keyring.ts';

export const subscriptionPurpose = (subscriptionId: string) => `event subscription/${subscriptionId}`;

/** A value keeps its purpose through all its versions, so that one can be copied to another. */
export const configPurpose = ({
  scope,
  target,
  key,
}: {
  readonly scope: string;
  readonly target: string;
  readonly key: string;
}) => `config/${JSON.stringify([scope, target, key])}`;

/** A sealed value in a column of JSON. */
export const sealedValue = (sealed: string) => ({ $sealed: sealed });

interface Deps {
  readonly sql: Sql;
  readonly keyring: Keyring;
}

/** Opens a secret; one from before secrets were sealed is taken as it is. */
export async function openSecret(
  keyring: Pick<Keyring, 'open'>,
  place: { readonly tenantId: string; readonly purpose: string },
  stored: string,
): Promise<string> {
  return versionOf(stored) === null ? stored : keyring.open(place, stored);
}

/**
 * Seals every stored secret of a tenant by its newest key that is open or sealed by another one. Each row by itself and only
 * if it is still the same: what is changed meanwhile is sealed by whoever changes it. Answers how many.
 */
export async function resealSecrets({ sql, keyring }: Deps, tenantId: string): Promise<number> {
  const newest = await keyring.readNewest(sql, tenantId);
  return (
    (await resealSubscriptions({ sql, keyring }, tenantId, newest)) +
    (await resealConfig({ sql, keyring }, tenantId, newest))
  );
}

async function resealSubscriptions({ sql, keyring }: Deps, tenantId: string, newest: number | null): Promise<number> {
  const rows = (await sql.unsafe(
    'SELECT id, secret FROM platform.event_subscription WHERE tenant_id = $1 AND secret IS NOT NULL ORDER BY id',
    [tenantId],
  )) as unknown as { id: string; secret: string }[];
  let count = 0;
  for (const { id, secret } of rows) {
    if (newest !== null && versionOf(secret) === newest) continue;
    const place = { tenantId, purpose: subscriptionPurpose(id) };
    const sealed = await keyring.seal(place, await openSecret(keyring, place, secret));
    await sql.unsafe(
      'UPDATE platform.event_subscription SET secret = $4 WHERE tenant_id = $1 AND id = $2 AND secret = $3',
      [tenantId, id, secret, sealed],
    );
    count += 1;
  }
  return count;
}

async function resealConfig({ sql, keyring }: Deps, tenantId: string, newest: number | null): Promise<number> {
  let count = 0;
  for (const table of ['config_version', 'config_entry']) {
    const rows = (await sql.unsafe(
      `SELECT scope, target, key, version, value::text AS value FROM platform.${table}
       WHERE tenant_id = $1 AND secret AND value IS NOT NULL ORDER BY scope, target, key, version`,
      [tenantId],
    )) as unknown as { scope: string; target: string; key: string; version: number; value: string }[];
    for (const { value, ...at } of rows) {
      const stored = sealedIn(JSON.parse(value));
      if (stored !== null && newest !== null && versionOf(stored) === newest) continue;
      const place = { tenantId, purpose: configPurpose(at) };
      const plain = stored === null ? value : await keyring.open(place, stored);
      const sealed = JSON.stringify(sealedValue(await keyring.seal(place, plain)));
      await sql.unsafe(
        `UPDATE platform.${table} SET value = $6::text::jsonb
         WHERE tenant_id = $1 AND scope = $2 AND target = $3 AND key = $4 AND version = $5 AND value = $7::text::jsonb`,
        [tenantId, at.scope, at.target, at.key, at.version, sealed, value],
      );
      count += 1;
    }
  }
  return count;
}

function sealedIn(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return null;
  const sealed = (value as Readonly<Record<string, unknown>>)['$sealed'];
  return typeof sealed === 'string' && versionOf(sealed) !== null ? sealed : null;
}
