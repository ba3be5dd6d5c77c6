import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { json, parseInput, requireVersion, text } from '#shared/validation.ts';
import type { Prisma } from '../../prisma/generated/client.ts';
import { findMemberships, isOwnerOrAdmin } from './access.ts';
import { metadataColumns } from './children.ts';
import { readOverride } from './governance.ts';
import type { ContextMetadataEntryRow, ContextRow } from './rows.ts';
import { callOf } from './rules.ts';
import { searchVector } from './store.ts';
import { inContext, requireOpen } from './transaction.ts';

const maxEntries = 1_000;
const maxValueBytes = 1_048_576;
const key = text({ min: 1, max: 255 });
const version = z.number().int().min(0);

const entry = z.object({
  key,
  value: json({ maxBytes: maxValueBytes }).refine(
    (value) => value !== null && value !== undefined,
    'expected a value; deleteMetadata removes an entry',
  ),
  type: text({ min: 1, max: 100 }).nullish(),
  description: text({ max: 2_000 }).nullish(),
  accessLevel: z.enum(['PUBLIC', 'PARTICIPANTS', 'OWNER']).nullish(),
  expectedVersion: version.nullish(),
});

const entryList = z.array(entry).min(1).max(maxEntries);
const keyList = z.array(key).min(1).max(maxEntries);
const expectedList = z.array(z.object({ key, expectedVersion: version })).max(maxEntries);

/** An answer small enough to be kept with an idempotency key: the entries themselves are read again. */
export interface MetadataChange {
  readonly keys: readonly string[];
  readonly deletedKeys: readonly string[];
}

interface EntryAccess {
  readonly key: string;
  readonly access_level: string;
}

interface LockedEntry extends EntryAccess {
  readonly version: number;
}

interface ChangeOptions {
  readonly override?: unknown;
  readonly idempotencyKey?: string | null | undefined;
}

/** Typed notes on a context, with their earlier values. */
export function createMetadata(runtime: ModuleRuntime) {
  /** Entries under these keys, locked. @throws {PERMISSION_DENIED} where the caller may not even read one. */
  async function lockEntries(
    tx: Prisma.TransactionClient,
    context: ContextRow,
    principal: Principal,
    keys: readonly string[],
  ) {
    const rows = await tx.$queryRawUnsafe<LockedEntry[]>(
      'SELECT key, access_level, version FROM context.metadata WHERE tenant_id = $1 AND context_id = $2::uuid AND key = ANY($3::text[]) ORDER BY key FOR UPDATE',
      context.tenantId,
      context.id,
      keys,
    );
    const closed = isOwnerOrAdmin(context, principal) ? [] : rows.filter((row) => row.access_level !== 'PUBLIC');
    if (closed.length > 0) {
      const member = (await findMemberships(runtime.sql, principal, [context.id])).size > 0;
      const refused = closed.find((row) => row.access_level === 'OWNER' || !member);
      if (refused)
        throw new PlatformError(
          'PERMISSION_DENIED',
          `the entry ${JSON.stringify(refused.key.slice(0, 60))} is kept for ${refused.access_level === 'OWNER' ? 'the owner' : 'participants'}`,
        );
    }
    return rows;
  }

  return {
    /**
     * Writes entries, new or changed. A later one of the same key in the list wins.
     * @throws {QUOTA_EXCEEDED} beyond 1,000 entries. @throws {PERMISSION_DENIED} {VALIDATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT}
     */
    async set(scope: RequestScope, contextId: string, raw: unknown, options: ChangeOptions): Promise<MetadataChange> {
      const override = await readOverride(runtime, scope.principal, contextId, options.override);
      const entries = parseInput(entryList, raw, ['entries']);
      const input = { contextId, entries, override: override?.override ?? null };
      return inContext(
        runtime,
        {
          scope,
          contextId,
          resource: 'metadata',
          override,
          idempotent: callOf(scope.principal, options.idempotencyKey, 'setMetadata', input),
        },
        async (tx, context) => {
          requireOpen(context);
          const byKey = new Map(entries.map((item) => [item.key, item]));
          const keys = [...byKey.keys()];
          const ownerOnly = entries.findIndex((item) => item.accessLevel === 'OWNER');
          if (ownerOnly >= 0 && !isOwnerOrAdmin(context, scope.principal))
            throw new PlatformError('PERMISSION_DENIED', 'only the owner keeps entries for the owner');
          const known = await lockEntries(tx, context, scope.principal, keys);
          requireVersions(entries, known, 'entries');
          const [held] = await tx.$queryRawUnsafe<{ n: number }[]>(
            'SELECT count(*)::int AS n FROM context.metadata WHERE tenant_id = $1 AND context_id = $2::uuid',
            context.tenantId,
            context.id,
          );
          const total = held!.n + keys.length - known.length;
          if (total > maxEntries)
            throw new PlatformError(
              'QUOTA_EXCEEDED',
              `the context would hold ${total} metadata entries of at most ${maxEntries}`,
              { path: ['entries'], details: { limit: maxEntries, used: held!.n } },
            );
          const records = keys.map((name) => {
            const item = byKey.get(name)!;
            return {
              key: name,
              value: item.value,
              type: item.type ?? null,
              derived: typeOf(item.value),
              description: item.description,
              access: item.accessLevel ?? null,
            };
          });
          await tx.$executeRawUnsafe(
            `INSERT INTO context.metadata_version (tenant_id, context_id, key, version, value, updated_at, updated_by)
           SELECT tenant_id, context_id, key, version, value, updated_at, updated_by FROM context.metadata WHERE tenant_id = $1 AND context_id = $2::uuid AND key = ANY($3::text[])`,
            context.tenantId,
            context.id,
            keys,
          );
          const written = await tx.$queryRawUnsafe<EntryAccess[]>(
            `INSERT INTO context.metadata AS m (tenant_id, context_id, key, value, type, description, access_level, version, updated_at, updated_by)
           SELECT $1, $2::uuid, i.key, i.value, COALESCE(i.type, i.derived), i.description, COALESCE(i.access, 'PUBLIC'), c.metadata_floor + 1, now(), $4
           FROM json_to_recordset($3::text::json) AS i(key text, value jsonb, type text, derived text, description text, access text)
             JOIN context.context c ON c.tenant_id = $1 AND c.id = $2::uuid ORDER BY i.key
           ON CONFLICT (tenant_id, context_id, key) DO UPDATE SET value = EXCLUDED.value, type = EXCLUDED.type, version = m.version + 1, updated_at = EXCLUDED.updated_at, updated_by = EXCLUDED.updated_by,
             description = COALESCE(EXCLUDED.description, m.description), access_level = CASE WHEN EXCLUDED.key = ANY($5::text[]) THEN EXCLUDED.access_level ELSE m.access_level END
           RETURNING key, access_level`,
            context.tenantId,
            context.id,
            JSON.stringify(records),
            scope.principal.subject,
            records.filter((record) => record.access !== null).map((record) => record.key),
          );
          await tx.$executeRawUnsafe(
            `DELETE FROM context.metadata_version v USING context.metadata m WHERE v.tenant_id = $1 AND v.context_id = $2::uuid AND v.key = ANY($3::text[])
             AND m.tenant_id = v.tenant_id AND m.context_id = v.context_id AND m.key = v.key AND v.version < m.version - 10`,
            context.tenantId,
            context.id,
            keys,
          );
          return finish(tx, context, { keys, deletedKeys: [] }, written);
        },
      );
    },

    /**
     * Removes entries with their versions; keys that are not there are passed over, unless a version of them is expected.
     * @throws {PERMISSION_DENIED} {NOT_FOUND} {VERSION_CONFLICT}
     */
    async remove(
      scope: RequestScope,
      contextId: string,
      raw: unknown,
      options: ChangeOptions & { readonly expectedVersions?: unknown },
    ): Promise<MetadataChange> {
      const override = await readOverride(runtime, scope.principal, contextId, options.override);
      const keys = [...new Set(parseInput(keyList, raw, ['keys']))];
      const expected = parseInput(expectedList.nullish(), options.expectedVersions, ['expectedVersions']) ?? [];
      const foreign = expected.findIndex((item) => !keys.includes(item.key));
      if (foreign >= 0)
        throw new PlatformError('VALIDATION_FAILED', 'expected one of the keys that are to be removed', {
          path: ['expectedVersions', foreign, 'key'],
        });
      const input = {
        ...{ contextId, keys, override: override?.override ?? null },
        ...(expected.length === 0 ? {} : { expected }),
      };
      return inContext(
        runtime,
        {
          scope,
          contextId,
          resource: 'metadata',
          override,
          idempotent: callOf(scope.principal, options.idempotencyKey, 'deleteMetadata', input),
        },
        async (tx, context) => {
          requireOpen(context);
          const rows = await lockEntries(tx, context, scope.principal, keys);
          requireVersions(expected, rows, 'expectedVersions');
          const known = rows.map((row) => row.key);
          if (known.length === 0) return { response: { keys: [], deletedKeys: [] }, events: [], audit: [] };
          await tx.$executeRawUnsafe(
            'DELETE FROM context.metadata WHERE tenant_id = $1 AND context_id = $2::uuid AND key = ANY($3::text[])',
            context.tenantId,
            context.id,
            known,
          );
          // Who has read what was removed must not take what is written in its place for the same.
          await tx.$executeRawUnsafe(
            'UPDATE context.context SET metadata_floor = GREATEST(metadata_floor, $3::int) WHERE tenant_id = $1 AND id = $2::uuid',
            context.tenantId,
            context.id,
            rows.reduce((floor, row) => Math.max(floor, row.version), 0),
          );
          return finish(tx, context, { keys: [], deletedKeys: known }, rows);
        },
      );
    },

    /** Entries under these keys as they stand, in the keys' order. */
    async find(scope: RequestScope, contextId: string, keys: readonly string[]): Promise<ContextMetadataEntryRow[]> {
      const rows = (await runtime.sql.unsafe(
        `SELECT ${metadataColumns} FROM unnest($3::text[]) WITH ORDINALITY AS k(key, ord) JOIN context.metadata p ON p.tenant_id = $1 AND p.context_id = $2 AND p.key = k.key ORDER BY k.ord`,
        [scope.principal.tenantId, contextId, keys as string[]],
        { prepare: true },
      )) as unknown as ContextMetadataEntryRow[];
      return rows;
    },
  };
}

/** Puts the words of public entries into the search, and tells of the change: keys only, values may not be for everyone. */
async function finish(
  tx: Prisma.TransactionClient,
  context: ContextRow,
  response: MetadataChange,
  entries: readonly EntryAccess[],
) {
  await tx.$executeRawUnsafe(
    `UPDATE context.context c SET metadata_text = w.words, search = ${searchVector('c', 'w.words')}, last_activity_at = now()
     FROM (SELECT COALESCE(left(string_agg(key || ' ' || left(CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' ELSE value::text END, 2000), ' ' ORDER BY key), 100000), '') AS words
           FROM context.metadata WHERE tenant_id = $1 AND context_id = $2::uuid AND access_level = 'PUBLIC') w
     WHERE c.tenant_id = $1 AND c.id = $2::uuid`,
    context.tenantId,
    context.id,
  );
  return {
    response,
    events: [
      {
        streamId: context.id,
        type: 'context.metadata.updated',
        data: {
          contextId: context.id,
          ...response,
          publicKeys: entries.filter((entry) => entry.access_level === 'PUBLIC').map((entry) => entry.key),
        },
        tags: [`Context:${context.id}`, `Context:${context.id}:metadata`, 'contexts'],
      },
    ],
    audit: [
      {
        action: 'context.metadata.update',
        resource: 'Context',
        resourceId: context.id,
        detail: { keys: response.keys, deletedKeys: response.deletedKeys },
      },
    ],
  };
}

/** @throws {VERSION_CONFLICT} where an entry stands at another version than expected; what is not there stands at 0. */
function requireVersions(
  expected: readonly { readonly key: string; readonly expectedVersion?: number | null | undefined }[],
  stored: readonly LockedEntry[],
  list: 'entries' | 'expectedVersions',
): void {
  const versions = new Map(stored.map((row) => [row.key, row.version]));
  for (const [index, item] of expected.entries())
    requireVersion(item.expectedVersion, versions.get(item.key) ?? 0, [list, index, 'expectedVersion']);
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value;
}
