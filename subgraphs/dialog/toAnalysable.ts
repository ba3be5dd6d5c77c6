import type { AnalysableMessage } from './analysis/index.ts';
import type { MessageRow } from './rows.ts';

/** A message as the providers see it. */
export function toAnalysable(message: MessageRow): AnalysableMessage {
  return {
    messageId: message.id,
    sequence: message.sequence,
    senderId: message.senderId ?? message.senderSubject ?? message.role,
    senderType: message.senderType,
    type: message.type,
    text: message.text ?? '',
    sentAt: message.createdAt,
    replyToMessageId: message.replyTo,
  };
}
