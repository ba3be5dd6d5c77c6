import type { TermCounts } from '../keywords/tfidf.ts';
import type { AnalysableMessage } from '../provider.ts';
import type { Sentence } from '../text/document.ts';
import { findingText, isAsked, type RuleContext, ruleText } from './ruleSentence.ts';

export interface Question {
  /** Verbatim. */
  readonly text: string;
  /** 0 to 1: 0.95 with a question mark, 0.6 by the order of words alone. */
  readonly confidence: number;
  readonly messageId: string;
}

const inverted =
  /^(?:(?:what|why|how|when|where|who|which|whose)(?: \w+)? (?:is|are|was|were|do|does|did|can|could|should|would|will|shall|have|has)|(?:is|are|do|does|did|can|could|should|would|will|have|has) (?:i|you|we|they|he|she|it|there|this|that|anyone|anybody|someone)) /i;

export function findQuestions(sentences: readonly Sentence[], context: RuleContext): Question[] {
  const questions: Question[] = [];
  for (const sentence of sentences) {
    const confidence = isAsked(sentence.prose) ? 0.95 : inverted.test(sentence.prose.slice(0, 120)) ? 0.6 : 0;
    if (confidence === 0 || confidence < context.threshold) continue;
    const text = findingText(sentence.text);
    if (text !== '' && ruleText(sentence).length > 1)
      questions.push({ text, confidence, messageId: context.message.messageId });
  }
  return questions;
}

export interface AskedQuestion {
  readonly question: Question;
  readonly messageIndex: number;
  readonly words: readonly string[];
}

/** How many messages after a question may answer it without being a reply to it (ours). */
const answerWindow = 3;

/**
 * The questions nobody answered: no other sender replied to their message, nor named a content word of the question
 * within the next three messages (a question without content words is answered by any of them).
 * `terms` holds the content words of each message, parallel to `messages`.
 */
export function findOpenQuestions(
  asked: readonly AskedQuestion[],
  messages: readonly AnalysableMessage[],
  terms: readonly TermCounts[],
): Question[] {
  const repliers = new Map<string, Set<string>>();
  for (const { replyToMessageId, senderId } of messages) {
    if (replyToMessageId === undefined || replyToMessageId === null) continue;
    const senders = repliers.get(replyToMessageId);
    if (senders === undefined) repliers.set(replyToMessageId, new Set([senderId]));
    else senders.add(senderId);
  }
  const isAnswered = ({ messageIndex, question, words }: AskedQuestion): boolean => {
    const asker = messages[messageIndex]?.senderId;
    for (const replier of repliers.get(question.messageId) ?? []) if (replier !== asker) return true;
    for (let index = messageIndex + 1; index <= messageIndex + answerWindow; index++) {
      const answer = messages[index];
      if (answer === undefined || answer.senderId === asker || answer.senderType === 'SYSTEM') continue;
      if (words.length === 0) return true;
      if (words.some((word) => terms[index]?.has(word))) return true;
    }
    return false;
  };
  return asked.filter((entry) => !isAnswered(entry)).map(({ question }) => question);
}
