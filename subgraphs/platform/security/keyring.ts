import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { LRUCache } from 'lru-cache';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { open, seal } from './cipher.ts';
import type { MasterKeys } from './masterKeys.ts';

const maxOpened = 1_000;
/** The newest version may be another by then: a key that was replaced elsewhere seals no longer than this. */
const newestMs = 5_000;
const pattern = /^mplp\.v1\.(\d{1,9})\.([A-Za-z0-9_-]+)$/;

interface StoredKey {
  readonly version: number;
  readonly wrapped: Uint8Array;
  readonly masterKeyId: string;
}

interface OpenedKey {
  readonly version: number;
  readonly key: KeyObject;
}

/** What is sealed belongs to a tenant and to a purpose, and opens for neither another tenant nor another purpose. */
export interface SealPlace {
  /** Empty for what holds for all tenants. */
  readonly tenantId: string;
  readonly purpose: string;
}

export type Keyring = ReturnType<typeof createKeyring>;

const wrapAad = (tenantId: string, version: number) => `data key\0${tenantId}\0${version}`;
const sealAad = ({ tenantId, purpose }: SealPlace, version: number) => `sealed\0${tenantId}\0${version}\0${purpose}`;

/** The version of the data key that sealed a text; null where the text is not sealed. */
export function versionOf(text: string): number | null {
  const [, version] = pattern.exec(text) ?? [];
  return version === undefined ? null : Number(version);
}

/** Envelope encryption: a data key per tenant, wrapped by a master key that never touches the database. */
export function createKeyring({
  sql,
  masterKeys,
}: {
  readonly sql: Sql;
  readonly masterKeys: () => MasterKeys | null;
}) {
  const opened = createLru<Promise<OpenedKey>>(maxOpened);
  const newest = createLru<Promise<number>>(maxOpened, { ttl: newestMs });

  function requireMaster(): MasterKeys {
    const keys = masterKeys();
    if (keys) return keys;
    throw new PlatformError(
      'UNAVAILABLE',
      'no master key is configured: set ENCRYPTION_KEY_FILE or ENCRYPTION_VAULT_URL',
    );
  }

  /** Makes the version after the newest one. The caller holds the tenant's lock. */
  async function add(tx: SqlTransaction, tenantId: string, by: string): Promise<number> {
    const master = requireMaster();
    const [row] = (await tx.unsafe('SELECT max(version) AS version FROM platform.data_key WHERE tenant_id = $1', [
      tenantId,
    ])) as unknown as { version: number | null }[];
    const version = (row!.version ?? 0) + 1;
    await tx.unsafe(
      'UPDATE platform.data_key SET retired_at = clock_timestamp() WHERE tenant_id = $1 AND retired_at IS NULL',
      [tenantId],
    );
    await tx.unsafe(
      'INSERT INTO platform.data_key (tenant_id, version, wrapped, master_key_id, created_by) VALUES ($1, $2, $3, $4, $5)',
      [tenantId, version, await master.wrap(randomBytes(32), wrapAad(tenantId, version)), master.activeId, by],
    );
    return version;
  }

  /** Keys of a tenant are made and replaced one after the other. */
  async function lock(tx: SqlTransaction, tenantId: string): Promise<void> {
    await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`platform.data_key/${tenantId}`}, 0))`;
  }

  async function readNewest(db: Sql | SqlTransaction, tenantId: string): Promise<number | null> {
    const [row] = (await db.unsafe(
      'SELECT version FROM platform.data_key WHERE tenant_id = $1 AND retired_at IS NULL ORDER BY version DESC LIMIT 1',
      [tenantId],
    )) as unknown as { version: number }[];
    return row?.version ?? null;
  }

  /** A tenant's first key is made when it is first asked for. */
  async function findNewest(tenantId: string): Promise<number> {
    const found = await readNewest(sql, tenantId);
    if (found !== null) return found;
    return (await sql.begin(async (tx) => {
      await lock(tx, tenantId);
      return (await readNewest(tx, tenantId)) ?? (await add(tx, tenantId, 'platform'));
    })) as number;
  }

  async function openKey(tenantId: string, version: number): Promise<OpenedKey> {
    const [row] = (await sql.unsafe(
      'SELECT version, wrapped, master_key_id AS "masterKeyId" FROM platform.data_key WHERE tenant_id = $1 AND version = $2',
      [tenantId, version],
    )) as unknown as StoredKey[];
    if (!row) throw new PlatformError('VALIDATION_FAILED', 'it was not sealed here');
    const bytes = await requireMaster().unwrap(row.wrapped, row.masterKeyId, wrapAad(tenantId, version));
    return { version, key: createSecretKey(bytes) };
  }

  /** Failures are not kept: the next call tries anew. */
  function once<Value extends object | number>(
    cache: LRUCache<string, Promise<Value>>,
    key: string,
    make: () => Promise<Value>,
  ): Promise<Value> {
    const known = cache.get(key);
    if (known) return known;
    const made = make();
    cache.set(key, made);
    made.catch(() => cache.get(key) === made && cache.delete(key));
    return made;
  }

  const keyOf = (tenantId: string, version: number) =>
    once(opened, `${tenantId}\0${version}`, () => openKey(tenantId, version));

  return {
    /** Whether anything can be sealed here. */
    isUsable: () => masterKeys() !== null,
    lock,
    add,
    readNewest,

    /** `mplp.v1.<version>.<base64url>`, for a column or a caller. @throws {UNAVAILABLE} */
    async seal(place: SealPlace, plaintext: string): Promise<string> {
      requireMaster();
      const newestVersion = await once(newest, place.tenantId, () => findNewest(place.tenantId));
      const { version, key } = await keyOf(place.tenantId, newestVersion);
      return `mplp.v1.${version}.${seal(key, Buffer.from(plaintext), sealAad(place, version)).toString('base64url')}`;
    },

    /** @throws {VALIDATION_FAILED} where it was sealed for another tenant or purpose, or has been changed. {UNAVAILABLE} */
    async open(place: SealPlace, text: string): Promise<string> {
      const [, version, body] = pattern.exec(text) ?? [];
      if (version === undefined || body === undefined) throw new PlatformError('VALIDATION_FAILED', 'it is not sealed');
      requireMaster();
      const { key } = await keyOf(place.tenantId, Number(version));
      try {
        return open(key, Buffer.from(body, 'base64url'), sealAad(place, Number(version))).toString('utf8');
      } catch {
        throw new PlatformError('VALIDATION_FAILED', 'it was not sealed for this, or has been changed');
      }
    },

    /** A new version is in use here from now on. */
    forgetNewest: (tenantId: string): void => void newest.delete(tenantId),

    /** Wraps by the active master key what another one wrapped. Answers how many. */
    async rewrap(): Promise<number> {
      const keys = requireMaster();
      let count = 0;
      for (;;) {
        const rows = (await sql.unsafe(
          `SELECT tenant_id AS "tenantId", version, wrapped, master_key_id AS "masterKeyId" FROM platform.data_key
           WHERE master_key_id <> $1 ORDER BY tenant_id, version LIMIT 100`,
          [keys.activeId],
        )) as unknown as (StoredKey & { tenantId: string })[];
        if (rows.length === 0) return count;
        for (const { tenantId, version, wrapped, masterKeyId } of rows) {
          const aad = wrapAad(tenantId, version);
          const bytes = await keys.unwrap(wrapped, masterKeyId, aad);
          await sql.unsafe(
            'UPDATE platform.data_key SET wrapped = $4, master_key_id = $5 WHERE tenant_id = $1 AND version = $2 AND master_key_id = $3',
            [tenantId, version, masterKeyId, await keys.wrap(bytes, aad), keys.activeId],
          );
          count += 1;
        }
      }
    },
  };
}
