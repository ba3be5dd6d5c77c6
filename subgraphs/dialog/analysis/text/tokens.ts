import { stopwords } from './stopwords.ts';

export interface Tokens {
  /** Lower-case words in order. */
  readonly words: readonly string[];
  /** `words` without stop words, numbers and single characters. */
  readonly contentWords: readonly string[];
  /** Runs of content words between stop words, numbers and punctuation: the candidates of Rose et al. (2010). */
  readonly phrases: readonly (readonly string[])[];
}

// A word, or a sign between words. Unambiguous at every character (a joiner must be followed by a letter): linear.
const partPattern = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’_-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*|[^\s\p{L}\p{N}]+/gu;
const wordStart = /^[\p{L}\p{N}]/u;
const bareNumber = /^[\d_-]+$/;
/** Longer tokens are digests, encodings or runs of an unspaced script: no word. */
const maxWordChars = 40;

/** Reads words and phrases in one pass; a curly apostrophe counts as a straight one. */
export function tokenize(prose: string): Tokens {
  const words: string[] = [];
  const contentWords: string[] = [];
  const phrases: string[][] = [];
  let phrase: string[] = [];
  for (const part of prose.match(partPattern) ?? []) {
    let inPhrase = false;
    if (part.length <= maxWordChars && isWord(part)) {
      const word = part.toLowerCase().replaceAll('’', "'");
      words.push(word);
      if (isContentWord(word)) {
        contentWords.push(word);
        phrase.push(word);
        inPhrase = true;
      }
    }
    if (!inPhrase && phrase.length > 0) {
      phrases.push(phrase);
      phrase = [];
    }
  }
  if (phrase.length > 0) phrases.push(phrase);
  return { words, contentWords, phrases };
}

function isWord(part: string): boolean {
  const code = part.charCodeAt(0);
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || wordStart.test(part);
}

/** The lower-case words of a text in order. */
export function wordsOf(text: string): readonly string[] {
  return tokenize(text).words;
}

/** Whether a word says something of the subject: no stop word, no bare number, at least two characters. */
export function isContentWord(word: string): boolean {
  if (word.length < 2 || stopwords.has(word)) return false;
  const code = word.charCodeAt(0);
  return code > 0x39 || !bareNumber.test(word);
}
