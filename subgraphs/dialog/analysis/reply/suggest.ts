import { type ReadingDeps, readMessage } from '../messageReading.ts';
import type { Knowledge, ReplyRequest, SuggestedReply } from '../provider.ts';
import { findingText, isAsked } from '../rules/ruleSentence.ts';
import { readDocument } from '../text/document.ts';
import { isContentWord, wordsOf } from '../text/tokens.ts';

const maxSuggestions = 3;
/** A single word in common says nothing of the subject. */
const minWordsInCommon = 2;
const maxKnowledgeChars = 16_384;

interface Candidate {
  readonly text: string;
  readonly source: Knowledge;
  readonly words: ReadonlySet<string>;
  readonly order: number;
}

/**
 * Answers a question with what was said or noted before: the sentences that hold most of its content words, weighed by
 * their inverse document frequency (Spärck Jones 1972). Null when none is sure enough, and when nothing was asked.
 */
export function suggestReply({ message, knowledge }: ReplyRequest, deps: ReadingDeps): SuggestedReply | null {
  const { config } = deps;
  const knownNames = new Set([message.senderId.toLowerCase()]);
  const { questions } = readMessage(message, deps, { maxChars: config.maxMessageChars, knownNames });
  const candidates = knowledge.flatMap((source, order) => candidatesOf(source, order));
  const found = new Map<string, { readonly candidate: Candidate; readonly confidence: number }>();
  for (const question of questions) {
    const asked = [...new Set(wordsOf(question.text).filter(isContentWord))];
    const weights = asked.map((word) => weightOf(word, candidates));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const candidate of candidates) {
      const common = asked.map((word, index) => (candidate.words.has(word) ? weights[index]! : 0));
      if (common.filter((weight) => weight > 0).length < minWordsInCommon) continue;
      const covered = common.reduce((sum, weight) => sum + weight, 0) / total;
      const confidence = question.confidence * covered;
      const known = found.get(candidate.text);
      if (confidence >= config.thresholds.suggestion && confidence > (known?.confidence ?? 0))
        found.set(candidate.text, { candidate, confidence });
    }
  }
  const best = [...found.values()]
    .sort((a, b) => b.confidence - a.confidence || b.candidate.order - a.candidate.order)
    .slice(0, maxSuggestions);
  if (best.length === 0) return null;
  return {
    text: [
      'This was said before:',
      ...best.map(({ candidate }) => `- ${candidate.text} (${candidate.source.label})`),
    ].join('\n'),
    confidence: best[0]!.confidence,
  };
}

function candidatesOf(source: Knowledge, order: number): Candidate[] {
  const texts =
    source.kind === 'MEMORY'
      ? [source.text]
      : readDocument(source.text, maxKnowledgeChars)
          .sentences.filter((sentence) => !isAsked(sentence.prose))
          .map((sentence) => sentence.text);
  return texts.map((text) => ({
    text: findingText(text.replace(/\s+/g, ' ')),
    source,
    words: new Set(wordsOf(source.kind === 'MEMORY' ? text.replaceAll(/[_.:-]/g, ' ') : text)),
    order,
  }));
}

function weightOf(word: string, candidates: readonly Candidate[]): number {
  const containing = candidates.filter(({ words }) => words.has(word)).length;
  return Math.log(1 + (candidates.length + 1) / (containing + 0.5));
}
