import type { EventRow } from '#shared/events.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { type Placement, placementOf } from './placement.ts';

/** Where an event belongs: in a context, or with null to the tenant as a whole. */
export interface Place {
  readonly contextId: string | null;
}

interface StreamPlace extends Place {
  readonly tenantId: string;
  readonly streamId: string;
}

/**
 * The place of each event, in their order; null where nothing tells it. What it says itself goes first, then where its object
 * or those it names are known to lie. What names an object that nothing is known of is not taken for the tenant's: it
 * may lie in a private context.
 */
export async function placesOf(tx: SqlTransaction, events: readonly EventRow[]): Promise<readonly (Place | null)[]> {
  const placements = events.map((event) => ({ event, placement: placementOf(event) }));
  const known = new Map<string, Place>();
  for (const row of await findKnown(tx, placements)) known.set(`${row.tenantId}/${row.streamId}`, row);
  const learnt = new Map<string, StreamPlace>();
  const answers = placements.map(({ event: { tenantId, streamId }, placement }) => {
    const found = placeIn(placement, { own: streamId, of: (id) => known.get(`${tenantId}/${id}`) });
    const key = `${tenantId}/${streamId}`;
    if (found !== null && placement.ofObject && streamId !== found.contextId && !known.has(key)) {
      known.set(key, found);
      learnt.set(key, { tenantId, streamId, contextId: found.contextId });
    }
    return found;
  });
  await learn(tx, [...learnt.values()]);
  return answers;
}

function placeIn(
  { contextId, ofObject, owners, about, tenantWide }: Placement,
  { own, of }: { readonly own: string; of(id: string): Place | undefined },
): Place | null {
  if (contextId !== null) return { contextId };
  const places = [...(ofObject ? [own] : []), ...owners, ...about].map(of);
  const lent = places.find((place) => place !== undefined && place.contextId !== null);
  if (lent !== undefined) return lent;
  const isOpen = owners.some((id) => of(id) === undefined);
  return (tenantWide || places.some((place) => place !== undefined)) && !isOpen ? { contextId: null } : null;
}

async function findKnown(
  tx: SqlTransaction,
  placements: readonly { readonly event: EventRow; readonly placement: Placement }[],
): Promise<readonly StreamPlace[]> {
  const wanted = placements.flatMap(({ event: { tenantId, streamId }, placement }) =>
    placement.contextId === null
      ? [...(placement.ofObject ? [streamId] : []), ...placement.owners, ...placement.about].map((id) => [tenantId, id])
      : [],
  );
  if (wanted.length === 0) return [];
  return (await tx.unsafe(
    `SELECT tenant_id AS "tenantId", stream_id AS "streamId", context_id AS "contextId" FROM trace.stream_context
     WHERE (tenant_id, stream_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))`,
    [wanted.map(([tenantId]) => tenantId!), wanted.map(([, id]) => id!)],
    { prepare: true },
  )) as unknown as StreamPlace[];
}

async function learn(tx: SqlTransaction, rows: readonly StreamPlace[]): Promise<void> {
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
