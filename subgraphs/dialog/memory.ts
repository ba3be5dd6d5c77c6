import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { findIdempotentResponse, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { appendChange } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, text } from '#shared/validation.ts';
import { evictToCapacity, type MemoryEntry, scoreMemory } from './analysis/index.ts';
import { callOf } from './calls.ts';
import * as inputs from './inputs.ts';
import { isoText } from './record.ts';
import type { DialogMemoryEntryRow } from './rows.ts';
import { type MessageView, seesMemory } from './visibility.ts';

/** Entries of each kind that a dialog holds at most; beyond them the least recent and important go. */
export const maxMemoryEntries = 1_000;
const defaultTtlSeconds = 3_600;

const columns = `e.kind, e.key, e.value, e.importance, e.ttl_seconds AS "ttlSeconds", ${isoText('e.expires_at')} AS "expiresAt",
  ${isoText('e.last_accessed_at')} AS "lastAccessedAt", ${isoText('e.updated_at')} AS "updatedAt", e.updated_by AS "updatedBy", e.present`;

const findText = `
SELECT e.dialog_id AS "dialogId", ${columns} FROM dialog.memory e WHERE e.tenant_id = $1 AND e.dialog_id = ANY($2::uuid[])
  AND (e.expires_at IS NULL OR e.expires_at > now()) ORDER BY e.kind, e.key`;

export interface StoredMemory extends DialogMemoryEntryRow {
  readonly dialogId: string;
}

/** What these dialogs remember and has not expired. */
export async function findMemory(
  sql: Sql,
  tenantId: string,
  dialogIds: readonly string[],
): Promise<readonly StoredMemory[]> {
  return (await sql.unsafe(findText, [tenantId, dialogIds as string[]], {
    prepare: true,
  })) as unknown as StoredMemory[];
}

const setText = `
INSERT INTO dialog.memory AS e (tenant_id, dialog_id, kind, key, value, importance, ttl_seconds, expires_at, last_accessed_at, updated_by, present)
SELECT $2, $3::uuid, kind, key, value, importance, ttl_seconds, now() + make_interval(secs => ttl_seconds), now(), $4,
  ARRAY(SELECT p.id FROM dialog.participant p WHERE p.tenant_id = $2 AND p.dialog_id = $3::uuid AND p.status = 'ACTIVE' AND 'READ' = ANY(p.permissions))
FROM json_to_recordset($1::text::json) AS i(kind text, key text, value jsonb, importance float8, ttl_seconds int)
ON CONFLICT (tenant_id, dialog_id, kind, key) DO UPDATE SET value = EXCLUDED.value, importance = EXCLUDED.importance, ttl_seconds = EXCLUDED.ttl_seconds,
  expires_at = EXCLUDED.expires_at, last_accessed_at = now(), updated_at = now(), updated_by = EXCLUDED.updated_by, present = EXCLUDED.present
RETURNING ${columns}`;

const forgetText = `
DELETE FROM dialog.memory e USING json_to_recordset($1::text::json) AS i(kind text, key text)
WHERE e.tenant_id = $2 AND e.dialog_id = $3::uuid AND e.kind = i.kind AND e.key = i.key`;

const touchText = `
UPDATE dialog.memory e SET last_accessed_at = now() FROM json_to_recordset($1::text::json) AS i(key text)
WHERE e.tenant_id = $2 AND e.dialog_id = $3::uuid AND e.kind = 'LONG_TERM' AND e.key = i.key`;

interface Scorable extends MemoryEntry {
  readonly row: StoredMemory;
}

/** What a dialog remembers beyond its messages. */
export function createMemory(runtime: ModuleRuntime) {
  const { sql, publisher } = runtime;

  return {
    /** All or none. @throws {VALIDATION_FAILED} when a key is set twice. */
    async update(
      scope: RequestScope,
      dialogId: string,
      raw: {
        readonly entries: unknown;
        readonly forget: unknown;
        readonly idempotencyKey: string | null | undefined;
        /** What others see of who asks. */
        readonly shownActor: string;
      },
    ): Promise<readonly DialogMemoryEntryRow[]> {
      const entries = parseInput(inputs.memoryEntries, raw.entries, ['entries']);
      const forget = parseInput(inputs.memoryKeys, raw.forget ?? [], ['forget']);
      const { tenantId, subject } = scope.principal;
      const seen = new Set<string>();
      entries.forEach((entry, index) => {
        const identity = `${entry.kind} ${entry.key}`;
        if (seen.has(identity))
          throw new PlatformError('VALIDATION_FAILED', `entries.${index}.key: expected a key once`, {
            path: ['entries', index, 'key'],
          });
        seen.add(identity);
      });
      const call = callOf(scope.principal, raw.idempotencyKey, 'updateMemory', { dialogId, entries, forget });
      const records = entries.map((entry) => ({
        kind: entry.kind,
        key: entry.key,
        value: entry.value ?? null,
        importance: entry.importance ?? 0.5,
        ttl_seconds: entry.kind === 'SHORT_TERM' ? (entry.ttlSeconds ?? defaultTtlSeconds) : (entry.ttlSeconds ?? null),
      }));
      let events: readonly EventRow[] = [];
      const write = async () => {
        const stored = await findIdempotentResponse(sql, 'dialog', call);
        if (stored)
          return (await findMemory(sql, tenantId, [dialogId])).filter((row) => seen.has(`${row.kind} ${row.key}`));
        return sql.begin(async (tx) => {
          if (forget.length > 0)
            await tx.unsafe(forgetText, [JSON.stringify(forget), tenantId, dialogId], { prepare: true });
          const written = (await tx.unsafe(setText, [JSON.stringify(records), tenantId, dialogId, raw.shownActor], {
            prepare: true,
          })) as unknown as DialogMemoryEntryRow[];
          await evict(tx);
          events = await appendChange(tx, 'dialog', [
            {
              tenantId,
              actor: subject,
              shownActor: raw.shownActor,
              traceparent: scope.traceparent,
              events: [
                {
                  streamId: dialogId,
                  type: 'dialog.memory.updated',
                  data: { keys: entries.map(({ kind, key }) => ({ kind, key })), forgotten: forget },
                  tags: [`Dialog:${dialogId}:memory`],
                },
              ],
              audit: [
                {
                  action: 'dialog.updateMemory',
                  resource: 'Dialog',
                  resourceId: dialogId,
                  detail: { entries: entries.length, forgotten: forget.length },
                },
              ],
              idempotency: idempotencyRecord(call, { dialogId }),
            },
          ]);
          return written;
        }) as Promise<DialogMemoryEntryRow[]>;
      };

      async function evict(tx: Parameters<Parameters<typeof sql.begin>[1]>[0]): Promise<void> {
        const all = await findMemory(tx as unknown as Sql, tenantId, [dialogId]);
        for (const kind of ['SHORT_TERM', 'LONG_TERM'] as const) {
          const own = all.filter((row) => row.kind === kind);
          if (own.length <= maxMemoryEntries) continue;
          const { evicted } = evictToCapacity(own.map(toScorable), maxMemoryEntries, Date.now());
          await tx.unsafe(
            forgetText,
            [JSON.stringify(evicted.map(({ row }) => ({ kind: row.kind, key: row.key }))), tenantId, dialogId],
            { prepare: true },
          );
        }
      }

      const result = await transactionRetry.execute(write).catch((error: unknown) => {
        if (isIdempotencyRace(error)) return write();
        throw error;
      });
      await publisher.published(events, scope);
      return result;
    },

    /** Best first; what is found in the long term counts as used. */
    async recall(
      tenantId: string,
      dialogId: string,
      options: {
        readonly view: MessageView;
        readonly query: string | null | undefined;
        readonly kinds: readonly string[] | null | undefined;
        readonly limit: number;
      },
    ): Promise<readonly DialogMemoryEntryRow[]> {
      if (options.limit < 1 || options.limit > 100)
        throw new PlatformError('VALIDATION_FAILED', `limit: expected 1 to 100, got ${options.limit}`, {
          path: ['limit'],
        });
      const query = options.query == null ? '' : parseInput(text({ max: 1_000 }), options.query, ['query']);
      const rows = (await findMemory(sql, tenantId, [dialogId])).filter(
        (row) => seesMemory(options.view, row) && (!options.kinds || options.kinds.includes(row.kind)),
      );
      const ranked = scoreMemory(rows.map(toScorable), query, Date.now())
        .filter((entry) => query === '' || entry.score > 0)
        .slice(0, options.limit);
      const used = ranked.filter(({ entry }) => entry.kind === 'LONG_TERM').map(({ entry }) => ({ key: entry.key }));
      if (used.length > 0 && query !== '')
        await sql.unsafe(touchText, [JSON.stringify(used), tenantId, dialogId], { prepare: true });
      return ranked.map(({ entry, score }) => ({ ...entry.row, score: query === '' ? null : score }));
    },
  };
}

function toScorable(row: StoredMemory): Scorable {
  return {
    key: row.key,
    text: typeof row.value === 'string' ? row.value : JSON.stringify(row.value),
    kind: row.kind,
    lastAccessedAt: row.lastAccessedAt,
    importance: row.importance,
    // Its end is a column here: short-term entries are gone from the rows read.
    ttlSeconds: null,
    row,
  };
}
