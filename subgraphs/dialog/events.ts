import type { NewEvent } from '#shared/outbox.ts';
import type { DialogParticipantRow, DialogRow, DialogSummaryRow, MessageAnalysisRow, MessageRow } from './rows.ts';

/** Tags of a dialog and of the lists it stands in. */
export function dialogTags(dialog: Pick<DialogRow, 'id' | 'contextId'>): readonly string[] {
  return [`Dialog:${dialog.id}`, `Context:${dialog.contextId}:dialogs`, 'dialogs'];
}

export function dialogEvent(type: string, dialog: DialogRow, changes: Readonly<Record<string, unknown>>): NewEvent {
  return { streamId: dialog.id, type, data: { dialog, changes }, tags: dialogTags(dialog) };
}

/** A participant's change also moves the dialog's counters. */
export function participantEvent(
  type: string,
  participant: DialogParticipantRow,
  contextId: string,
  changes: Readonly<Record<string, unknown>> = {},
): NewEvent {
  return {
    streamId: participant.dialogId,
    type,
    // Who stands behind a pseudonym is for the audit alone.
    data: { participant: { ...participant, identity: null }, changes },
    tags: [
      `DialogParticipant:${participant.id}`,
      `Dialog:${participant.dialogId}`,
      `Dialog:${participant.dialogId}:participants`,
      `Context:${contextId}:dialogs`,
      'dialogs',
    ],
  };
}

/** The dialog's own tag is not in it: its counters are read with the messages' tag, so that talk spares the rest. */
export function messageEvent(
  type: string,
  message: MessageRow,
  more: Readonly<Record<string, unknown>> = {},
): NewEvent {
  return {
    streamId: message.dialogId,
    type,
    data: { message, ...more },
    tags: [`Message:${message.id}`, `Dialog:${message.dialogId}:messages`],
  };
}

export function analysisEvent(analysis: MessageAnalysisRow, message: MessageRow, contextId: string): NewEvent {
  const { recipients, senderId, senderType, sequence } = message;
  return {
    streamId: analysis.dialogId,
    type: 'dialog.analysis.completed',
    data: { analysis, message: { id: message.id, recipients, senderId, senderType, sequence }, contextId },
    tags: [`MessageAnalysis:${analysis.messageId}`, `Dialog:${analysis.dialogId}:analysis`],
  };
}

export function summaryEvent(summary: DialogSummaryRow): NewEvent {
  return {
    streamId: summary.dialogId,
    type: 'dialog.summary.completed',
    data: { summary },
    tags: [`Dialog:${summary.dialogId}:summary`, `Dialog:${summary.dialogId}`],
  };
}
