import type { AnalysableMessage } from '../provider.ts';

export interface Contribution {
  readonly senderId: string;
  readonly senderType: AnalysableMessage['senderType'];
  readonly messageCount: number;
  /** 0 to 100; the contributions of a dialog add up to 100. */
  readonly percent: number;
  /** Words of prose. */
  readonly wordCount: number;
}

/** Messages and words per sender, most first, ties by id. `wordCounts` runs parallel to `messages`. */
export function countContributions(
  messages: readonly AnalysableMessage[],
  wordCounts: readonly number[],
): Contribution[] {
  const bySender = new Map<string, { senderType: AnalysableMessage['senderType']; messages: number; words: number }>();
  for (const [index, { senderId, senderType }] of messages.entries()) {
    const words = wordCounts[index] ?? 0;
    const entry = bySender.get(senderId);
    if (entry === undefined) bySender.set(senderId, { senderType, messages: 1, words });
    else {
      entry.messages++;
      entry.words += words;
    }
  }
  return [...bySender]
    .map(([senderId, entry]) => ({
      senderId,
      senderType: entry.senderType,
      messageCount: entry.messages,
      percent: (entry.messages / messages.length) * 100,
      wordCount: entry.words,
    }))
    .sort((left, right) => right.messageCount - left.messageCount || (left.senderId < right.senderId ? -1 : 1));
}
