import { type Connection, createConnection, type Page, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { DialogParticipantConnectionRow, DialogParticipantRow } from '../rows.ts';
import { participantColumns } from '../store/participants.ts';

export interface ParticipantsKey {
  readonly dialogId: string;
  readonly status: readonly string[] | null;
  readonly first: number | null;
  readonly after: string | null;
}

export type ParticipantCountKey = Pick<ParticipantsKey, 'dialogId' | 'status'>;

interface Listed extends DialogParticipantRow {
  readonly ordinal: number;
}

const list = 'dialogParticipants';

const pageText = `
SELECT k.ord, page.* FROM json_to_recordset($1::text::json) AS k(ord int, dialog_id uuid, statuses text[], after_ordinal bigint, lim int)
CROSS JOIN LATERAL (
  SELECT ${participantColumns}, p.ordinal FROM dialog.participant p WHERE p.tenant_id = $2 AND p.dialog_id = k.dialog_id
    AND (k.statuses IS NULL OR p.status = ANY(k.statuses)) AND (k.after_ordinal IS NULL OR p.ordinal > k.after_ordinal)
  ORDER BY p.ordinal LIMIT k.lim
) page ORDER BY k.ord, page.ordinal`;

/** Pages of several dialogs' participants in one statement, in the order they came. */
export async function listParticipants(
  sql: Sql,
  tenantId: string,
  keys: readonly ParticipantsKey[],
  count: (key: ParticipantCountKey) => Promise<number>,
): Promise<readonly (DialogParticipantConnectionRow | Error)[]> {
  const pages = keys.map((key) => readKey(key));
  const wanted = keys.flatMap((key, ord) => {
    const page = pages[ord]!;
    if (page instanceof Error) return [];
    return [
      {
        ord,
        dialog_id: key.dialogId,
        statuses: key.status,
        after_ordinal: page.from?.[0] ?? null,
        lim: page.limit + 1,
      },
    ];
  });
  const rows = (await sql.unsafe(pageText, [JSON.stringify(wanted), tenantId], {
    prepare: true,
  })) as unknown as (Listed & { ord: number })[];
  const byKey = Map.groupBy(rows, (row) => row.ord);
  return keys.map((key, ord) => {
    const page = pages[ord]!;
    if (page instanceof Error) return page;
    const found = (byKey.get(ord) ?? []).map(({ ord: _ord, ...row }) => row);
    const connection: Connection<Listed> = createConnection(list, page, found, (row) => [row.ordinal]);
    return {
      ...connection,
      count: () => count({ dialogId: key.dialogId, status: key.status }),
    };
  });
}

const countText = `
SELECT k.ord, (SELECT count(*)::int FROM dialog.participant p WHERE p.tenant_id = $2 AND p.dialog_id = k.dialog_id AND (k.statuses IS NULL OR p.status = ANY(k.statuses))) AS n
FROM json_to_recordset($1::text::json) AS k(ord int, dialog_id uuid, statuses text[]) ORDER BY k.ord`;

/** Counts for several dialogs in one statement. */
export async function countParticipants(
  sql: Sql,
  tenantId: string,
  keys: readonly ParticipantCountKey[],
): Promise<readonly number[]> {
  const records = keys.map((key, ord) => ({ ord, dialog_id: key.dialogId, statuses: key.status }));
  const rows = (await sql.unsafe(countText, [JSON.stringify(records), tenantId], { prepare: true })) as unknown as {
    n: number;
  }[];
  return rows.map((row) => row.n);
}

function readKey(key: ParticipantsKey): Page | PlatformError {
  try {
    const page = readPage(list, 1, key);
    if (page.from !== null && !Number.isSafeInteger(page.from[0])) {
      return new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
    }
    return page;
  } catch (error) {
    if (error instanceof PlatformError) return error;
    throw error;
  }
}
