import type { Principal } from '#shared/principal.ts';
import { type DialogPlace, observes } from './rights.ts';
import type { DialogConfigurationValue, DialogParticipantRow, MessageRow, Span } from './rows.ts';

/** What a principal may read of one dialog's messages. */
export interface MessageView {
  /** Null: everything, also what is for others alone. */
  readonly participantId: string | null;
  /** Sequences it may read, in order; [1, null] is all. */
  readonly spans: readonly Span[];
}

export const everything: MessageView = { participantId: null, spans: [[1, null]] };

/**
 * Null when it may read nothing: neither taking part nor observing. Whoever left keeps what was said while it was there;
 * whoever was removed keeps nothing.
 */
export function viewOf(
  dialog: DialogPlace & { readonly configuration: Pick<DialogConfigurationValue, 'showHistory'> },
  principal: Principal,
  participant: Pick<DialogParticipantRow, 'id' | 'status' | 'permissions' | 'spans'> | null | undefined,
): MessageView | null {
  if (observes(dialog, principal)) return everything;
  if (!participant || participant.status === 'REMOVED' || participant.spans.length === 0) return null;
  if (!participant.permissions.includes('READ')) return null;
  const spans = participant.spans;
  if (!dialog.configuration.showHistory) return { participantId: participant.id, spans };
  return { participantId: participant.id, spans: [[1, spans.at(-1)![1]]] };
}

export function inSpans(spans: readonly Span[], sequence: number): boolean {
  return spans.some(([first, last]) => sequence >= first && (last === null || sequence <= last));
}

/** True when the message is for the participant, by it, or for all. */
export function isFor(message: Pick<MessageRow, 'recipients' | 'senderId'>, participantId: string | null): boolean {
  return (
    participantId === null ||
    message.recipients === null ||
    message.senderId === participantId ||
    message.recipients.includes(participantId)
  );
}

export function seesMessage(
  view: MessageView | null,
  message: Pick<MessageRow, 'recipients' | 'senderId' | 'sequence'>,
): boolean {
  return view !== null && inSpans(view.spans, message.sequence) && isFor(message, view.participantId);
}

/** A stay begins behind the last message there is. */
export function openSpan(spans: readonly Span[], lastSequence: number): readonly Span[] {
  return [...spans, [lastSequence + 1, null]];
}

/** A stay ends with the last message there is; one in which nothing was said leaves no trace. */
export function closeSpan(spans: readonly Span[], lastSequence: number): readonly Span[] {
  return spans.flatMap((span): readonly Span[] => {
    if (span[1] !== null) return [span];
    return span[0] <= lastSequence ? [[span[0], lastSequence]] : [];
  });
}
