import type { Principal } from '#shared/principal.ts';
import { type DialogPlace, observes } from './rights.ts';
import type {
  AttachmentValue,
  DialogConfigurationValue,
  DialogMemoryEntryRow,
  DialogParticipantRow,
  MessageRow,
  ParticipantPermission,
  Span,
} from './rows.ts';

/** What a principal may read of one dialog's messages. */
export interface MessageView {
  /** Null: everything, also what is for others alone. */
  readonly participantId: string | null;
  /** Sequences it may read, in order; [1, null] is all. */
  readonly spans: readonly Span[];
  /** All that the dialog remembers, not only what was noted while it was there. */
  readonly wholeMemory: boolean;
  /** Null: all of them. */
  readonly permissions: readonly ParticipantPermission[] | null;
}

export const everything: MessageView = {
  participantId: null,
  spans: [[1, null]],
  wholeMemory: true,
  permissions: null,
};

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
  const { id: participantId, spans, permissions } = participant;
  if (!dialog.configuration.showHistory) return { participantId, spans, wholeMemory: false, permissions };
  const last = spans.at(-1)![1];
  return { participantId, spans: [[1, last]], wholeMemory: last === null, permissions };
}

export function inSpans(spans: readonly Span[], sequence: number): boolean {
  return spans.some(([first, last]) => sequence >= first && (last === null || sequence <= last));
}

/** Spans that follow on each other are one. */
export function joinSpans(spans: readonly Span[]): readonly Span[] {
  return spans.reduce<Span[]>((joined, [first, last]) => {
    const before = joined.at(-1);
    if (before && before[1] !== null && before[1] + 1 >= first) joined[joined.length - 1] = [before[0], last];
    else joined.push([first, last]);
    return joined;
  }, []);
}

/** What was made of messages is for whoever may read all of them, wherever they stand in between. */
export function seesRange({ spans }: Pick<MessageView, 'spans'>, from: number, to: number): boolean {
  return joinSpans(spans).some(([first, last]) => from >= first && (last === null || to <= last));
}

/** An entry of the memory is for whoever was there when it was written. */
export function seesMemory(view: MessageView, entry: Pick<DialogMemoryEntryRow, 'present'>): boolean {
  return view.wholeMemory || (view.participantId !== null && (entry.present?.includes(view.participantId) ?? false));
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

/** As attachments may name them: those from before they were checked stand as they were sent. */
export function namesOf(permissions: readonly ParticipantPermission[]): readonly string[] {
  return [...permissions, ...permissions.map((permission) => permission.toLowerCase())];
}

const reading = namesOf(['READ']);

/** True where whoever reads the message may have it. */
export function isForReaders({ accessPermissions }: Pick<AttachmentValue, 'accessPermissions'>): boolean {
  return accessPermissions.every((permission) => reading.includes(permission));
}

/** An attachment of a message that is seen is for its sender, and for whoever holds all that it asks for. */
export function seesAttachment(
  view: MessageView,
  { senderId }: Pick<MessageRow, 'senderId'>,
  { accessPermissions }: Pick<AttachmentValue, 'accessPermissions'>,
): boolean {
  if (view.permissions === null || (senderId !== null && senderId === view.participantId)) return true;
  const held = namesOf(view.permissions);
  return accessPermissions.every((asked) => held.includes(asked));
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
