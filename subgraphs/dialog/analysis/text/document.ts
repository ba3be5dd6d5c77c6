import { maskNonProse } from './prose.ts';
import { type Span, splitSentences } from './sentences.ts';
import { type Tokens, tokenize } from './tokens.ts';

export interface Sentence extends Span, Tokens {
  /** The original characters of the span: verbatim, with the URLs and code that the words leave out. */
  readonly text: string;
  /** The span with everything that is not prose blanked. */
  readonly prose: string;
}

export interface TextDocument {
  /** The whole text blanked but for its prose; where it was too long, its beginning and end. */
  readonly prose: string;
  /** In order; their spans count from the beginning of `prose`. */
  readonly sentences: readonly Sentence[];
  readonly wordCount: number;
  readonly truncated: boolean;
}

/** How much of the characters read is taken from the beginning of a text that is too long: conclusions stand last. */
const headShare = 0.75;
const joint = '\n\n';

/**
 * Reads a text once for all analyses: its prose, sentences and words. Of a text longer than `maxChars` the first three
 * quarters of `maxChars` and the last quarter are read.
 */
export function readDocument(text: string, maxChars: number): TextDocument {
  const truncated = text.length > maxChars;
  const [read, prose] = truncated ? readEnds(text, maxChars) : [text, maskNonProse(text)];
  const sentences: Sentence[] = [];
  let wordCount = 0;
  for (const { start, end } of splitSentences(prose)) {
    const part = prose.slice(start, end);
    const tokens = tokenize(part);
    if (tokens.words.length === 0) continue;
    wordCount += tokens.words.length;
    sentences.push({ start, end, text: read.slice(start, end), prose: part, ...tokens });
  }
  return { prose, sentences, wordCount, truncated };
}

/** Each end is masked by itself, so that a fence left open in the first does not hide the second. */
function readEnds(text: string, maxChars: number): [read: string, prose: string] {
  const headChars = Math.floor(maxChars * headShare);
  const head = withoutHalf(text.slice(0, headChars), 'end');
  const tail = withoutHalf(text.slice(text.length - (maxChars - headChars)), 'start');
  return [head + joint + tail, maskNonProse(head) + joint + maskNonProse(tail)];
}

/** Without the half of a surrogate pair that a cut left at one end. */
function withoutHalf(text: string, side: 'start' | 'end'): string {
  const code = text.charCodeAt(side === 'start' ? 0 : text.length - 1);
  if (side === 'start') return code >= 0xdc00 && code <= 0xdfff ? text.slice(1) : text;
  return code >= 0xd800 && code <= 0xdbff ? text.slice(0, -1) : text;
}
