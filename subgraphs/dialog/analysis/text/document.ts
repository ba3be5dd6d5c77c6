import { maskNonProse } from './prose.ts';
import { type Span, splitSentences } from './sentences.ts';
import { stopwords } from './stopwords.ts';

export interface Sentence extends Span {
  /** The original characters of the span: verbatim, with the URLs and code that the words leave out. */
  readonly text: string;
  /** The span with everything that is not prose blanked. */
  readonly prose: string;
  /** Lower-case words in order. */
  readonly words: readonly string[];
  /** `words` without stop words, numbers and single letters. */
  readonly contentWords: readonly string[];
}

export interface TextDocument {
  readonly text: string;
  readonly prose: string;
  readonly sentences: readonly Sentence[];
  readonly wordCount: number;
  readonly truncated: boolean;
}

// Unambiguous at every character (a joiner must be followed by a letter), hence linear.
const wordPattern = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’_-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu;
/** Longer tokens are digests, encodings or runs of an unspaced script: no word. */
const maxWordChars = 40;

/** The lower-case words of a text in order; a curly apostrophe counts as a straight one. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [match] of text.matchAll(wordPattern)) {
    if (match.length <= maxWordChars) words.push(match.toLowerCase().replaceAll('’', "'"));
  }
  return words;
}

/** Whether a word says something of the subject: no stop word, no bare number, at least two characters. */
export function isContentWord(word: string): boolean {
  return word.length > 1 && !stopwords.has(word) && !/^[\d_-]+$/.test(word);
}

/** Reads a text once for all analyses: its prose, sentences and words. Only the first `maxChars` are read. */
export function readDocument(text: string, maxChars: number): TextDocument {
  const truncated = text.length > maxChars;
  const read = truncated ? text.slice(0, maxChars) : text;
  const prose = maskNonProse(read);
  const sentences: Sentence[] = [];
  let wordCount = 0;
  for (const { start, end } of splitSentences(prose)) {
    const part = prose.slice(start, end);
    const words = wordsOf(part);
    if (words.length === 0) continue;
    wordCount += words.length;
    sentences.push({
      start,
      end,
      text: read.slice(start, end),
      prose: part,
      words,
      contentWords: words.filter(isContentWord),
    });
  }
  return { text: read, prose, sentences, wordCount, truncated };
}
