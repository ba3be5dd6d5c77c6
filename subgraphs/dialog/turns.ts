import { PlatformError } from '#shared/errors.ts';
import { may } from './rights.ts';
import type { DialogConfigurationValue, DialogParticipantRow, DialogRecord, DialogStateRecord } from './rows.ts';

export interface TurnInput {
  readonly configuration: Pick<DialogConfigurationValue, 'turnMode' | 'turnDurationMs' | 'allowInterruptions'>;
  /** Active writing participants in their order. */
  readonly order: readonly string[];
  readonly state: Pick<DialogStateRecord, 'currentTurn' | 'turnStartedAt'>;
  readonly nowMs: number;
}

/**
 * Whose turn it is: in a round the holder's turn passes on after `turnDurationMs`, once for each full duration;
 * moderated turns end without a successor. Null: nobody's (moderated), or everybody's (free).
 */
export function holderOf({ configuration, order, state, nowMs }: TurnInput): string | null {
  if (configuration.turnMode === 'FREE') return null;
  const elapsedMs = state.turnStartedAt === null ? 0 : nowMs - Date.parse(state.turnStartedAt);
  const passed = configuration.turnDurationMs === null ? 0 : Math.floor(elapsedMs / configuration.turnDurationMs);
  if (configuration.turnMode === 'MODERATED') return passed > 0 ? null : state.currentTurn;
  if (order.length === 0) return null;
  const at = state.currentTurn === null ? -1 : order.indexOf(state.currentTurn);
  // Whoever held it is gone: the round begins anew.
  return order[(Math.max(at, 0) + passed) % order.length] ?? null;
}

export function nextInOrder(order: readonly string[], participantId: string): string | null {
  if (order.length === 0) return null;
  return order[(order.indexOf(participantId) + 1) % order.length] ?? null;
}

/** @throws {NOT_YOUR_TURN} unless the participant holds the turn or may interrupt. */
export function requireTurn(input: TurnInput, participantId: string, isModerator: boolean): void {
  const { configuration } = input;
  if (configuration.turnMode === 'FREE' || configuration.allowInterruptions) return;
  if (configuration.turnMode === 'MODERATED' && isModerator) return;
  const holder = holderOf(input);
  if (holder === participantId) return;
  throw new PlatformError(
    'NOT_YOUR_TURN',
    holder === null ? 'the moderator has given nobody the turn' : 'another participant holds the turn',
    {
      details: { currentTurn: holder },
    },
  );
}

/** The turn after a message of the participant. */
export function turnAfter(input: TurnInput, participantId: string): string | null {
  const holder = holderOf(input);
  if (input.configuration.turnMode !== 'ROUND_ROBIN' || holder !== participantId) return holder;
  return nextInOrder(input.order, participantId);
}

/** Active, writing participants in the order of turns. */
export function turnOrderOf(record: DialogRecord, participants: readonly DialogParticipantRow[]): readonly string[] {
  const writing = new Set(
    participants.filter((row) => may(row, 'WRITE') && row.type !== 'SYSTEM').map((row) => row.id),
  );
  const kept = record.turnOrder.filter((id) => writing.has(id));
  return [...kept, ...[...writing].filter((id) => !kept.includes(id))];
}
