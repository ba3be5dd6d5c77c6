import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once, Written } from '#shared/once.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import { type EntryInput, type Invalidation, maxKeys } from './inputs.ts';
import { type EntryReader, entryTag, everyEntryTag } from './reader.ts';
import { type CacheEntryRow, entryColumns } from './rows.ts';

/** Changes of a tenant's entries are one stream. */
export const cacheStream = (tenantId: string) => derivedId(`cache ${tenantId}`);

export interface EntryChange {
  readonly expectedVersion: number | null;
  readonly call: IdempotentCall | null;
}

interface Usage {
  readonly entries: number;
  readonly bytes: number;
  /** The version that the change gives. */
  readonly version: number;
}

type StoredEntry = CacheEntryRow & { readonly live: boolean };

/** Entries as they are written: the database is the record, the levels above it are told what no longer holds. */
export function createCacheEntries({ sql, config }: ModuleRuntime, once: Once, reader: EntryReader) {
  /** One change of a tenant's entries after the other: so versions rise, and the quota holds. */
  async function lockUsage(tx: SqlTransaction, tenantId: string): Promise<Usage> {
    const [usage] = (await tx.unsafe(
      `INSERT INTO platform.cache_usage AS u (tenant_id, version) VALUES ($1, 1)
       ON CONFLICT (tenant_id) DO UPDATE SET version = u.version + 1 RETURNING u.entries, u.bytes, u.version`,
      [tenantId],
      { prepare: true },
    )) as unknown as Usage[];
    return usage!;
  }

  async function addUsage(tx: SqlTransaction, tenantId: string, entries: number, bytes: number): Promise<void> {
    await tx.unsafe(
      'UPDATE platform.cache_usage SET entries = entries + $2::int, bytes = bytes + $3::bigint WHERE tenant_id = $1',
      [tenantId, entries, bytes],
      { prepare: true },
    );
  }

  async function findStored(tx: SqlTransaction, tenantId: string, key: string): Promise<StoredEntry | null> {
    const [row] = (await tx.unsafe(
      `SELECT ${entryColumns}, e.expires_at > now() AS live FROM platform.cache_entry e WHERE e.tenant_id = $1 AND e.key = $2`,
      [tenantId, key],
      { prepare: true },
    )) as unknown as StoredEntry[];
    return row ?? null;
  }

  /** Makes room by what has expired. @throws {QUOTA_EXCEEDED} where that is not enough. */
  async function requireRoom(
    tx: SqlTransaction,
    tenantId: string,
    { usage, key, entries, bytes }: { usage: Usage; key: string; entries: number; bytes: number },
  ): Promise<void> {
    const most = { entries: config.CACHE_TENANT_ENTRIES, bytes: config.CACHE_TENANT_BYTES };
    const fits = (freed: { entries: number; bytes: number }) =>
      usage.entries + entries - freed.entries <= most.entries && usage.bytes + bytes - freed.bytes <= most.bytes;
    if (fits({ entries: 0, bytes: 0 })) return;
    const [freed] = (await tx.unsafe(
      `WITH gone AS (
         DELETE FROM platform.cache_entry WHERE tenant_id = $1 AND key <> $2 AND expires_at <= now() RETURNING bytes
       ) SELECT count(*)::int AS entries, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone`,
      [tenantId, key],
    )) as unknown as { entries: number; bytes: number }[];
    if (!fits(freed!))
      throw new PlatformError(
        'QUOTA_EXCEEDED',
        `expected at most ${most.entries} entries of ${most.bytes} bytes together`,
        { path: ['input'], details: { entries: usage.entries, bytes: usage.bytes, added: bytes } },
      );
    await addUsage(tx, tenantId, -freed!.entries, -freed!.bytes);
  }

  /** The database alone knows: what another instance wrote may not have come to the levels here. */
  async function findCurrent(tenantId: string, key: string): Promise<CacheEntryRow> {
    const [row] = (await sql.unsafe(
      `SELECT ${entryColumns} FROM platform.cache_entry e WHERE e.tenant_id = $1 AND e.key = $2 AND e.expires_at > now()`,
      [tenantId, key],
      { prepare: true },
    )) as unknown as CacheEntryRow[];
    if (!row) throw noSuchEntry();
    return row;
  }

  /** Runs a change and has the levels of this process know of it before the caller does. */
  async function change<Row>(
    scope: RequestScope,
    call: IdempotentCall | null,
    work: {
      write(tx: SqlTransaction): Promise<Written<Row> & { readonly stale: readonly string[] }>;
      repeat(response: unknown): Promise<Row>;
    },
  ): Promise<Row> {
    let stale: readonly string[] = [];
    const row = await once<Row>(scope, {
      call,
      repeat: work.repeat,
      async write(tx) {
        const written = await work.write(tx);
        stale = written.stale;
        return written;
      },
    });
    if (stale.length > 0) await reader.invalidate(scope.principal.tenantId, stale);
    return row;
  }

  /** What others are told of an entry: values may be large, and are no record. */
  function told(tenantId: string, verb: 'set' | 'deleted', { key, version, bytes, tags, expiresAt }: CacheEntryRow) {
    const detail = { key, version, bytes, tags: [...tags], expiresAt };
    return {
      events: [
        {
          streamId: cacheStream(tenantId),
          type: `cache.entry.${verb}`,
          data: { entry: detail },
          tags: [entryTag(key)],
        },
      ],
      audit: [{ action: `cache.entry.${verb}`, resource: 'CacheEntry', resourceId: key, detail }],
    };
  }

  return {
    find: reader.find,

    /** @throws {VERSION_CONFLICT} {QUOTA_EXCEEDED} */
    set(scope: RequestScope, input: EntryInput, { expectedVersion, call }: EntryChange): Promise<CacheEntryRow> {
      const { tenantId, subject } = scope.principal;
      const { key, tags, ttlSeconds } = input;
      const value = JSON.stringify(input.value);
      const bytes = [key, value, ...tags].reduce((sum, part) => sum + Buffer.byteLength(part), 0);
      return change<CacheEntryRow>(scope, call, {
        repeat: () => findCurrent(tenantId, key),
        async write(tx) {
          const usage = await lockUsage(tx, tenantId);
          const before = await findStored(tx, tenantId, key);
          // What is not there has no version: 0 insists on that.
          requireVersion(expectedVersion, before?.live ? before.version : 0);
          const added = { entries: before ? 0 : 1, bytes: bytes - (before?.bytes ?? 0) };
          await requireRoom(tx, tenantId, { usage, key, ...added });
          await addUsage(tx, tenantId, added.entries, added.bytes);
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.cache_entry AS e (tenant_id, key, value, tags, version, bytes, expires_at, updated_by)
             VALUES ($1, $2, $3::text::jsonb, ARRAY(SELECT json_array_elements_text($4::text::json)), $5, $6,
               now() + $7::int * interval '1 second', $8)
             ON CONFLICT (tenant_id, key) DO UPDATE SET value = EXCLUDED.value, tags = EXCLUDED.tags,
               version = EXCLUDED.version, bytes = EXCLUDED.bytes, expires_at = EXCLUDED.expires_at,
               updated_by = EXCLUDED.updated_by, updated_at = now()
             RETURNING ${entryColumns}`,
            [tenantId, key, value, JSON.stringify(tags), usage.version, bytes, ttlSeconds, subject],
            { prepare: true },
          )) as unknown as CacheEntryRow[];
          return { row: row!, response: {}, changes: [told(tenantId, 'set', row!)], stale: [entryTag(key)] };
        },
      });
    },

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} */
    remove(scope: RequestScope, key: string, { expectedVersion, call }: EntryChange): Promise<CacheEntryRow | null> {
      const { tenantId } = scope.principal;
      return change<CacheEntryRow | null>(scope, call, {
        // What it was is gone with it.
        repeat: async () => null,
        async write(tx) {
          await lockUsage(tx, tenantId);
          const before = await findStored(tx, tenantId, key);
          if (!before?.live) throw noSuchEntry();
          requireVersion(expectedVersion, before.version);
          await tx`DELETE FROM platform.cache_entry WHERE tenant_id = ${tenantId} AND key = ${key}`;
          await addUsage(tx, tenantId, -1, -before.bytes);
          const { live: _live, ...row } = before;
          return { row, response: {}, changes: [told(tenantId, 'deleted', row)], stale: [entryTag(key)] };
        },
      });
    },

    /** Drops what fits one of the three; answers how many entries that were. */
    invalidate(scope: RequestScope, { keys, pattern, tags }: Invalidation, call: IdempotentCall | null) {
      const { tenantId } = scope.principal;
      return change<number>(scope, call, {
        repeat: async (response) => (response as { entries: number }).entries,
        async write(tx) {
          await lockUsage(tx, tenantId);
          const gone = (await tx.unsafe(
            `DELETE FROM platform.cache_entry WHERE tenant_id = $1 AND (
               key IN (SELECT json_array_elements_text($2::text::json)) OR key LIKE $3
               OR tags && ARRAY(SELECT json_array_elements_text($4::text::json)))
             RETURNING key, bytes, expires_at > now() AS live`,
            [tenantId, JSON.stringify(keys), pattern === null ? null : likeOf(pattern), JSON.stringify(tags)],
          )) as unknown as { key: string; bytes: number; live: boolean }[];
          if (gone.length > 0)
            await addUsage(tx, tenantId, -gone.length, -gone.reduce((sum, { bytes }) => sum + bytes, 0));
          const stale = gone.length > maxKeys ? [everyEntryTag] : gone.map(({ key }) => entryTag(key));
          const entries = gone.filter(({ live }) => live).length;
          const detail = { keys, pattern, tags, entries };
          return {
            row: entries,
            response: { entries },
            // The given tags are those of the graph's answers: its caches read them from the event.
            changes: [
              {
                events: [
                  {
                    streamId: cacheStream(tenantId),
                    type: 'cache.invalidated',
                    data: detail,
                    tags: [...stale, ...tags],
                  },
                ],
                audit: [{ action: 'cache.invalidate', resource: 'Cache', resourceId: 'entries', detail }],
              },
            ],
            stale,
          };
        },
      });
    },

    /** What has not expired, by key. */
    async page({ principal: { tenantId } }: RequestScope, prefix: string, input: PageInput) {
      const list = 'cacheEntries';
      const page = readPage(list, 1, input);
      const [after = null] = (page.from ?? []) as readonly (string | null)[];
      const rows = (await sql.unsafe(
        `SELECT ${entryColumns} FROM platform.cache_entry e
         WHERE e.tenant_id = $1 AND e.expires_at > now() AND starts_with(e.key, $2) AND ($3::text IS NULL OR e.key > $3)
         ORDER BY e.key LIMIT $4`,
        [tenantId, prefix, after, page.limit + 1],
        { prepare: true },
      )) as unknown as CacheEntryRow[];
      return createConnection(list, page, rows, (row) => [row.key]);
    },

    /** Deletes what has expired, tenant by tenant, under the lock that every change takes. */
    async sweep(): Promise<void> {
      const tenants = await sql<{ tenant_id: string }[]>`
        SELECT DISTINCT tenant_id FROM platform.cache_entry WHERE expires_at <= now()`;
      for (const { tenant_id: tenantId } of tenants)
        await sql.begin(async (tx) => {
          await lockUsage(tx, tenantId);
          const gone = await tx<{ bytes: number }[]>`
            DELETE FROM platform.cache_entry WHERE tenant_id = ${tenantId} AND expires_at <= now() RETURNING bytes`;
          await addUsage(tx, tenantId, -gone.length, -gone.reduce((sum, { bytes }) => sum + bytes, 0));
        });
    },
  };
}

function noSuchEntry(): PlatformError {
  return new PlatformError('NOT_FOUND', 'nothing is kept under this key', { path: ['key'] });
}

/** `*` and `?` as LIKE writes them; all else stands for itself. */
function likeOf(pattern: string): string {
  return pattern.replaceAll('_', '\\_').replaceAll('*', '%').replaceAll('?', '_');
}
