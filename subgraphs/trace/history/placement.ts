import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';

/** Rows that an event may carry, and the ids by which they name what they belong to. */
const owners = ['planId', 'executionId', 'dialogId', 'sessionId', 'targetId', 'roleId'] as const;

/** Where an event belongs: the context it names, else the streams through which one may be known. */
export interface Placement {
  readonly contextId: string | null;
  readonly streams: readonly string[];
}

/** Reads the context of any module's event from the rows in its data. */
export function placementOf(event: EventRow): Placement {
  const rows = rowsOf(event.data);
  const named =
    event.module === 'context' && event.type.startsWith('context.')
      ? event.streamId
      : (rows.map((row) => row['contextId']).find(isId) ?? null);
  const through = rows.flatMap((row) => owners.map((name) => row[name])).filter(isId);
  return { contextId: named, streams: [...new Set([event.streamId, ...through])] };
}

/** What a trace says of the event: who belongs to it and in which state, never what it says. */
export function detailOf(event: EventRow): Readonly<Record<string, unknown>> {
  const told: Record<string, unknown> = { module: event.module, streamId: event.streamId, sequence: event.sequence };
  for (const row of rowsOf(event.data)) {
    for (const [name, value] of Object.entries(row)) {
      const isReference = name === 'id' || (name.endsWith('Id') && name !== 'tenantId');
      if (isReference && isId(value) && told[name] === undefined) told[name] = value;
      else if (name === 'status' && typeof value === 'string' && told['status'] === undefined) told['status'] = value;
      else if (name === 'attempt' && typeof value === 'number') told['attempt'] = value;
    }
  }
  return told;
}

function rowsOf(data: EventRow['data']): readonly Readonly<Record<string, unknown>>[] {
  const nested = Object.values(data).filter(
    (value): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value),
  );
  return [...nested, data];
}
