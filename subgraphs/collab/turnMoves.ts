import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { change, count, type Draft, find, list, put, setDeadline, tell } from './draft.ts';
import { suspend } from './moves.ts';
import { active, systemSubject } from './rights.ts';
import type { Json, ParticipantRow } from './rows.ts';
import type { TurnRow } from './workRows.ts';

/** The one after the last in the cyclic order of those who take part; null where nobody does. */
export function nextInOrder(draft: Draft): ParticipantRow | null {
  const order = [...active(draft)].sort((one, other) => one.position - other.position);
  const last = draft.collab.turnState.lastParticipantId;
  const lastPlace = last === null ? -1 : (find(draft, 'participant', last)?.position ?? -1);
  return order.find(({ position }) => position > lastPlace) ?? order[0] ?? null;
}

export interface TurnOrder {
  readonly taskId?: string | null;
  readonly instruction?: Json | null;
  readonly timeoutMs?: number | null;
  readonly dispatchedBy: string;
}

/** Hands somebody the turn. In modes with one token nobody else may have one. @throws {TURN_OPEN} {ROLE_MISSING} */
export function dispatch(draft: Draft, participant: ParticipantRow, order: TurnOrder): TurnRow {
  const { collab } = draft;
  const open = list(draft, 'turn').filter(({ status }) => status === 'dispatched');
  const blocks =
    collab.mode === 'round_robin' || collab.mode === 'pair'
      ? open
      : open.filter((turn) => turn.participantId === participant.participantId);
  if (blocks.length > 0)
    throw new PlatformError('TURN_OPEN', `turn ${blocks[0]!.number} is under way`, {
      details: { turnId: blocks[0]!.id },
    });
  if (participant.roleId === null)
    throw new PlatformError('ROLE_MISSING', `${participant.participantId} has no role to take a turn in`);
  const number = collab.turnState.number + 1;
  const turn = put(draft, 'turn', {
    tenantId: collab.tenantId,
    id: newId(),
    collabId: collab.id,
    number,
    participantId: participant.participantId,
    roleId: participant.roleId,
    tokenId: newId(),
    taskId: order.taskId ?? null,
    instruction: order.instruction ?? null,
    status: 'dispatched',
    result: null,
    error: null,
    dispatchedBy: order.dispatchedBy,
    dispatchedAt: draft.at,
    dueAt: new Date(draft.atMs + (order.timeoutMs ?? collab.turnTaking.timeoutMs)).toISOString(),
    completedAt: null,
  });
  change(draft, { turnState: { ...collab.turnState, number, lastParticipantId: participant.participantId } });
  count(draft, { turnsDispatched: 1 });
  setDeadline(draft, `turn:${turn.id}`, turn.dueAt);
  tell(draft, 'collab.turn.dispatched', { turn, targetRoles: [turn.roleId] });
  return turn;
}

/** The token goes on by itself where the mode has an order. Null where it stays. */
export function passOn(draft: Draft): TurnRow | null {
  const { mode, turnTaking, status } = draft.collab;
  if (status !== 'active' || !turnTaking.autoAdvance || (mode !== 'round_robin' && mode !== 'pair')) return null;
  const next = nextInOrder(draft);
  return next === null ? null : dispatch(draft, next, { dispatchedBy: systemSubject });
}

/** Ends a turn with what it came to. */
export function complete(
  draft: Draft,
  turn: TurnRow,
  result: { readonly result: Json | null; readonly error: string | null },
): TurnRow {
  const ended = put(draft, 'turn', { ...turn, ...result, status: 'completed', completedAt: draft.at });
  setDeadline(draft, `turn:${turn.id}`, null);
  change(draft, { turnState: { ...draft.collab.turnState, missed: 0 } });
  count(draft, { turnsCompleted: 1, turnMs: draft.atMs - Date.parse(turn.dispatchedAt) });
  tell(draft, 'collab.turn.completed', { turn: ended });
  return ended;
}

/** Ends a turn that nobody completed: its completion is an error, so that each dispatch has one. */
export function timeOut(
  draft: Draft,
  turn: TurnRow,
  { status, error }: Pick<TurnRow, 'status'> & { readonly error: string },
): void {
  const ended = put(draft, 'turn', { ...turn, status, error, completedAt: draft.at });
  setDeadline(draft, `turn:${turn.id}`, null);
  if (status === 'timed_out') count(draft, { turnsTimedOut: 1 });
  tell(draft, 'collab.turn.completed', { turn: ended });
}

/** A turn whose time is over: the token goes on, and a session in which a whole round was missed is suspended. */
export function missTurn(draft: Draft, turn: TurnRow): void {
  timeOut(draft, turn, { status: 'timed_out', error: 'timeout' });
  const { mode, turnState } = draft.collab;
  if (mode !== 'round_robin' && mode !== 'pair') return;
  const missed = turnState.missed + 1;
  change(draft, { turnState: { ...draft.collab.turnState, missed } });
  if (missed >= active(draft).length) suspend(draft, 'silence', 'a whole round of turns was missed');
  else passOn(draft);
}
