import { type PartName, type PartRows, partNames, parts } from './parts.ts';
import type { CollabRow, CollabStats } from './rows.ts';

type PartMaps = { readonly [Name in PartName]: ReadonlyMap<string, PartRows[Name]> };
type MutablePartMaps = { readonly [Name in PartName]: Map<string, PartRows[Name]> };

/** A collaboration with those of its parts that a command asked for. */
export interface CollabState {
  readonly collab: CollabRow;
  readonly parts: PartMaps;
}

interface Told {
  readonly type: string;
  readonly more: Readonly<Record<string, unknown>>;
}

/** A collaboration while a command changes it: nothing of it is stored unless the command succeeds. */
export interface Draft {
  /** Null for a new one. */
  readonly before: CollabRow | null;
  collab: CollabRow;
  readonly parts: MutablePartMaps;
  readonly touched: ReadonlyMap<PartName, Set<string>>;
  readonly told: Told[];
  /** Approvals asked for; events of their own kind. */
  readonly approvals: Readonly<Record<string, unknown>>[];
  /** True once its own row has changed. */
  isChanged: boolean;
  readonly at: string;
  readonly atMs: number;
}

export function emptyParts(): MutablePartMaps {
  return Object.fromEntries(partNames.map((name) => [name, new Map()])) as never;
}

export function createDraft(state: CollabState, atMs: number = Date.now()): Draft {
  return {
    before: state.collab,
    collab: state.collab,
    parts: Object.fromEntries(partNames.map((name) => [name, new Map(state.parts[name] as never)])) as never,
    ...blank(atMs),
  };
}

export function createNewDraft(collab: CollabRow, atMs: number = Date.now()): Draft {
  return { before: null, collab, parts: emptyParts(), ...blank(atMs), isChanged: true };
}

const blank = (atMs: number) => ({
  touched: new Map(partNames.map((name) => [name, new Set<string>()])),
  told: [],
  approvals: [],
  isChanged: false,
  at: new Date(atMs).toISOString(),
  atMs,
});

export const list = <Name extends PartName>(draft: Pick<Draft, 'parts'>, name: Name): readonly PartRows[Name][] => [
  ...(draft.parts[name].values() as MapIterator<PartRows[Name]>),
];

export const find = <Name extends PartName>(
  draft: Pick<Draft, 'parts'>,
  name: Name,
  key: string,
): PartRows[Name] | undefined => draft.parts[name].get(key) as PartRows[Name] | undefined;

export function put<Name extends PartName>(draft: Draft, name: Name, row: PartRows[Name]): PartRows[Name] {
  const key = (parts[name] as { keyOf: (row: PartRows[Name]) => string }).keyOf(row);
  (draft.parts[name] as Map<string, PartRows[Name]>).set(key, row);
  draft.touched.get(name)!.add(key);
  return row;
}

export function change(draft: Draft, patch: Partial<CollabRow>): void {
  draft.collab = { ...draft.collab, ...patch };
  draft.isChanged = true;
}

export function count(draft: Draft, patch: Partial<CollabStats>): void {
  const stats: Record<string, number> = { ...draft.collab.stats };
  for (const [name, value] of Object.entries(patch)) stats[name] = (stats[name] ?? 0) + value;
  change(draft, { stats: stats as unknown as CollabStats });
}

export function tell(draft: Draft, type: string, more: Readonly<Record<string, unknown>> = {}): void {
  draft.told.push({ type, more });
}

/** What falls due, and when; null takes it away. */
export function setDeadline(draft: Draft, key: string, at: string | null): void {
  const { [key]: known, ...rest } = draft.collab.deadlines;
  if (at === null && known === undefined) return;
  change(draft, { deadlines: at === null ? rest : { ...rest, [key]: at } });
}

/** The draft as it is to be stored; its next deadline is that of whatever falls due first. */
export function finish(draft: Draft, actor: string): void {
  if (!draft.isChanged) return;
  const { collab, before } = draft;
  const isOver = collab.status === 'completed' || collab.status === 'cancelled';
  const [first] = Object.values(collab.deadlines).sort();
  draft.collab = {
    ...collab,
    version: before === null ? 1 : before.version + 1,
    // While it is suspended nothing falls due but its own end.
    nextDeadlineAt: isOver ? null : ((collab.status === 'suspended' ? collab.deadlines['session'] : first) ?? null),
    updatedAt: draft.at,
    updatedBy: actor,
  };
}

export const isUntouched = (draft: Draft): boolean =>
  !draft.isChanged && draft.told.length === 0 && [...draft.touched.values()].every((keys) => keys.size === 0);
