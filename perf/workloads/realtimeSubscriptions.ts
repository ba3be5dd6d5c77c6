import { type CreateSubscriptions, readPath } from '../load/workload.ts';
import { type DialogSeed, dialogId, subjectAt } from '../seeds/dialog.ts';

export interface RealtimeSubscriptionParams {
  readonly seed: DialogSeed;
  readonly tokens: readonly string[];
}

const messageReceived = `subscription OnMessage($id: ID!) {
  messageReceived(dialogId: $id) {
    cursor kind timestamp
    message { id dialogId sequence senderId senderSubject type content { text } replyToMessageId sentAt }
  }
}`;

/** Every socket is a participant of its own and hears its dialog; sockets go round the dialogs. */
export const createSubscriptions: CreateSubscriptions<RealtimeSubscriptionParams> = ({ seed, tokens }) => ({
  start(index) {
    const dialog = index % seed.dialogs;
    const place = Math.floor(index / seed.dialogs) % seed.participantsPerDialog;
    const token = tokens[subjectAt(dialog, place, seed.subjects)]!;
    return {
      query: messageReceived,
      variables: { id: dialogId(dialog) },
      connectionParams: { authorization: `Bearer ${token}` },
    };
  },
  read(response) {
    const received = readPath(response.data, 'messageReceived');
    const message = readPath(received, 'message');
    if (readPath(received, 'kind') !== 'MESSAGE' || !message) return null;
    return {
      key: String(readPath(message, 'id')),
      stream: String(readPath(message, 'dialogId')),
      sequence: Number(readPath(message, 'sequence')),
      cursor: String(readPath(received, 'cursor')),
      createdAtMs: Date.parse(String(readPath(received, 'timestamp'))),
    };
  },
});
