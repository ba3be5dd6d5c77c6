import type { EventRow } from '#shared/events.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { placementOf } from './placement.ts';

interface StreamContext {
  readonly tenantId: string;
  readonly streamId: string;
  readonly contextId: string;
}

/** The context of each event, in their order: what it names itself, else what its streams are known to belong to. */
export async function contextsOf(tx: SqlTransaction, events: readonly EventRow[]): Promise<readonly (string | null)[]> {
  const placements = events.map((event) => ({ tenantId: event.tenantId, event, ...placementOf(event) }));
  const open = placements.filter(({ contextId }) => contextId === null);
  const known = new Map<string, string>();
  for (const row of await findKnown(tx, open)) known.set(`${row.tenantId}/${row.streamId}`, row.contextId);
  const learnt = new Map<string, StreamContext>();
  const answers = placements.map(({ tenantId, event, contextId, streams }) => {
    const found = contextId ?? streams.map((id) => known.get(`${tenantId}/${id}`)).find((id) => id !== undefined);
    if (found === undefined) return null;
    const key = `${tenantId}/${event.streamId}`;
    if (event.streamId !== found && known.get(key) === undefined) {
      known.set(key, found);
      learnt.set(key, { tenantId, streamId: event.streamId, contextId: found });
    }
    return found;
  });
  await learn(tx, [...learnt.values()]);
  return answers;
}

async function findKnown(
  tx: SqlTransaction,
  open: readonly { readonly tenantId: string; readonly streams: readonly string[] }[],
): Promise<readonly StreamContext[]> {
  const wanted = open.flatMap(({ tenantId, streams }) => streams.map((streamId) => ({ tenantId, streamId })));
  if (wanted.length === 0) return [];
  return (await tx.unsafe(
    `SELECT tenant_id AS "tenantId", stream_id AS "streamId", context_id AS "contextId" FROM trace.stream_context
     WHERE (tenant_id, stream_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))`,
    [wanted.map(({ tenantId }) => tenantId), wanted.map(({ streamId }) => streamId)],
    { prepare: true },
  )) as unknown as StreamContext[];
}

async function learn(tx: SqlTransaction, rows: readonly StreamContext[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(
    `INSERT INTO trace.stream_context (tenant_id, stream_id, context_id)
     SELECT "tenantId", "streamId", "contextId"
     FROM json_to_recordset($1::text::json) AS s("tenantId" text, "streamId" uuid, "contextId" uuid)
     ORDER BY 1, 2 ON CONFLICT DO NOTHING`,
    [JSON.stringify(rows)],
    { prepare: true },
  );
}
