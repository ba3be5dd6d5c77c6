import { type EventRow, matchesType } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { SubgraphName } from '../../names.ts';

/** Objects of a context, by the names under which rows tell what they belong to: each lies in one context for good. */
const owners = ['planId', 'executionId', 'dialogId', 'sessionId', 'networkId'] as const;

/** What a row is about may be an object of any kind. */
const about = 'targetId';

/** Modules all whose streams are those of objects that lie in a context: one that says so tells it of all others. */
const ofContexts: ReadonlySet<SubgraphName> = new Set([
  ...['context', 'plan', 'dialog', 'collab', 'network', 'extension'],
] as SubgraphName[]);

/** Events of what belongs to the tenant as a whole, though they do not say that they have no context. */
const tenantWide: Readonly<Partial<Record<SubgraphName, readonly string[]>>> = {
  role: ['*'],
  platform: ['*'],
  core: ['*'],
  confirm: ['workflow.*'],
  plan: ['plan.method.*'],
  extension: ['extension.key.*'],
};

type Row = Readonly<Record<string, unknown>>;

/** What an event says itself of where it belongs. */
export interface Placement {
  /** The context that it names. */
  readonly contextId: string | null;
  /** Whether its stream is that of an object, which lies where the event does. */
  readonly ofObject: boolean;
  /** Objects that it names as those it belongs to or is about. */
  readonly owners: readonly string[];
  readonly about: readonly string[];
  /** Whether it is of the tenant as a whole where none of its objects lies in a context. */
  readonly tenantWide: boolean;
}

/** Reads the place of any module's event from the rows in its data. */
export function placementOf(event: EventRow): Placement {
  const rows = rowsOf(event);
  const { module, streamId, type } = event;
  const named =
    module === 'context' && type.startsWith('context.')
      ? streamId
      : (rows.map((row) => row['contextId']).find(isId) ?? null);
  const isOf = (row: Row) => row['id'] === streamId || owners.some((name) => row[name] === streamId);
  const others = (names: readonly string[]) =>
    [...new Set(rows.flatMap((row) => names.map((name) => row[name])).filter(isId))].filter((id) => id !== streamId);
  const saysNone = rows.some((row) => row['contextId'] === null);
  return {
    contextId: named,
    // A subject, an inbox and a tenant have streams too: what stands in those lies here and there.
    ofObject: ofContexts.has(module) || rows.some((row) => row['contextId'] !== undefined && isOf(row)),
    owners: others(owners),
    about: others([about]),
    tenantWide: saysNone || isTenantWide(event),
  };
}

function isTenantWide({ module, type }: EventRow): boolean {
  const types = tenantWide[module] ?? [];
  return types.includes('*') || matchesType(types, type);
}

/** What a trace says of the event: who belongs to it and in which state, never what it says. */
export function detailOf(event: EventRow): Readonly<Record<string, unknown>> {
  const told: Record<string, unknown> = { module: event.module, streamId: event.streamId, sequence: event.sequence };
  for (const row of rowsOf(event)) {
    for (const [name, value] of Object.entries(row)) {
      const isReference = name === 'id' || (name.endsWith('Id') && name !== 'tenantId');
      if (isReference && isId(value) && told[name] === undefined) told[name] = value;
      else if (name === 'status' && typeof value === 'string' && told['status'] === undefined) told['status'] = value;
      else if (name === 'attempt' && typeof value === 'number') told['attempt'] = value;
    }
  }
  return told;
}

/** Rows of modules; what clients publish says nothing of where it belongs. */
function rowsOf({ module, type, data }: EventRow): readonly Row[] {
  if (type === 'system.published' || (module === 'platform' && 'payload' in data)) return [];
  const nested = Object.values(data).filter(
    (value): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value),
  );
  return [...nested, data];
}
