import type { DialogSummaryRow, MessageAnalysisRow, MessageRow } from './rows.ts';
import { isForReaders } from './visibility.ts';

/** A message in the graph's shape, with every field that is the same for all who may see it. */
export function messagePayload(message: MessageRow): Record<string, unknown> {
  return {
    __typename: 'Message',
    id: message.id,
    messageId: message.id,
    dialogId: message.dialogId,
    threadId: message.threadId,
    sequence: message.sequence,
    senderId: message.senderId,
    senderSubject: message.senderSubject,
    senderType: message.senderType,
    role: message.role.toUpperCase(),
    type: message.type,
    content: contentOf(message),
    replyToMessageId: message.replyTo,
    topic: message.topic,
    priority: message.priority,
    requiresResponse: message.requiresResponse,
    responseDeadline: message.responseDeadline,
    recipients: message.recipients,
    // Those that are not for all are asked for in the name of each subscriber.
    ...(message.attachments.every(isForReaders) ? { attachments: message.attachments } : {}),
    reactions: message.reactions,
    clientMessageId: message.clientMessageId,
    sentAt: message.createdAt,
    editedAt: message.editedAt,
    deletedAt: message.deletedAt,
    deletedBy: message.deletedBy,
    revision: message.revision,
  };
}

/** Of a row that was read in part, what was not read is not shown. */
export function contentOf(message: MessageRow) {
  if (message.deletedAt !== null) return null;
  const { text, structuredData, language, mentions, hashtags } = message as Partial<MessageRow>;
  return { text, structuredData, language, mentions: [...(mentions ?? [])], hashtags: [...(hashtags ?? [])] };
}

export function analysisPayload(analysis: MessageAnalysisRow): Record<string, unknown> {
  return {
    messageId: analysis.messageId,
    provider: analysis.provider,
    version: analysis.version,
    analyzedAt: analysis.analyzedAt,
    ...analysisFields(analysis.result),
  };
}

export function analysisFields(result: Readonly<Record<string, unknown>> | undefined) {
  return {
    language: result?.['language'] ?? null,
    sentiment: result?.['sentiment'] ?? null,
    toxicity: result?.['toxicity'] ?? null,
    keywords: result?.['keywords'] ?? [],
    entities: result?.['entities'] ?? null,
    dates: result?.['dates'] ?? [],
    actionItems: result?.['actionItems'] ?? [],
    decisions: result?.['decisions'] ?? [],
    questions: result?.['questions'] ?? [],
  };
}

const summaryKeys = [
  'messageCount',
  'text',
  'keyTopics',
  'decisions',
  'actionItems',
  'openQuestions',
  'nextSteps',
  'contributions',
  'sentimentProgression',
  'engagement',
  'toxicity',
  'intervention',
] as const;

export function summaryPayload(summary: DialogSummaryRow): Record<string, unknown> {
  const { tenantId: _tenant, id, result, ...rest } = summary;
  return { summaryId: id, ...rest, ...Object.fromEntries(summaryKeys.map((key) => [key, result?.[key] ?? null])) };
}
