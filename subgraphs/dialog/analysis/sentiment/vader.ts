import type { ValenceLexicon } from './lexicon.ts';
import {
  capitalsIncrement,
  degreeModifiers,
  emojiWords,
  exclamationIncrement,
  idioms,
  negationScalar,
  negations,
  normalizationAlpha,
  questionCeiling,
  questionIncrement,
} from './modifiers.ts';

export interface Polarity {
  /** -1 to 1, the normalised sum of valences. */
  readonly compound: number;
  /** Shares of the sentence, 0 to 1, that add up to 1; all 0 where there is no word. */
  readonly positive: number;
  readonly neutral: number;
  readonly negative: number;
  /** How many words carried a valence. */
  readonly hits: number;
}

/** The words of a sentence; the three lists run parallel. */
interface Tokens {
  readonly words: readonly string[];
  readonly lowers: readonly string[];
  /** Undefined: not in the lexicon. */
  readonly valences: readonly (number | undefined)[];
  readonly hasOpinion: boolean;
}

const neutralPolarity: Polarity = { compound: 0, positive: 0, neutral: 0, negative: 0, hits: 0 };

/**
 * VADER (Hutto & Gilbert 2014) for one sentence: lexicon valences, changed by degree adverbs, capitals, negation and
 * idioms within three words before, by a contrastive `but`, and by `!` and `?`. Linear. Made for English; words
 * outside the lexicon are neutral. Differs from the reference where that reads a list by value: every word before
 * `but` is halved here, every word after it weighs 1.5, also where two have equal valence.
 */
export function createVader(lexicon: ValenceLexicon): (sentence: string) => Polarity {
  return (sentence) => {
    const tokens = tokenize(wordsForEmoji(sentence), lexicon);
    if (tokens.words.length === 0) return neutralPolarity;
    if (!tokens.hasOpinion) return { ...neutralPolarity, neutral: 1 };
    const mixedCase = hasMixedCase(tokens.words);
    const valences = tokens.words.map((_, index) => valenceAt(tokens, index, mixedCase));
    weighContrast(tokens, valences);
    return score(valences, emphasis(sentence));
  };
}

const anyEmoji = /[\u{1F300}-\u{1FAFF}❤]/u;

function wordsForEmoji(text: string): string {
  if (!anyEmoji.test(text)) return text;
  return text.replace(/[\u{1F300}-\u{1FAFF}❤]/gu, (emoji) => ` ${emojiWords.get(emoji) ?? ''} `);
}

function tokenize(text: string, lexicon: ValenceLexicon): Tokens {
  const words: string[] = [];
  const lowers: string[] = [];
  const valences: (number | undefined)[] = [];
  let hasOpinion = false;
  for (const raw of text.split(/\s+/)) {
    if (raw === '') continue;
    const word = stripPunctuation(raw);
    const lower = word.toLowerCase();
    const valence = lexicon.get(lower);
    if (valence !== undefined) hasOpinion = true;
    words.push(word);
    lowers.push(lower);
    valences.push(valence);
  }
  return { words, lowers, valences, hasOpinion };
}

/** Without punctuation around it; what then has at most two characters was likely an emoticon and stays whole. */
function stripPunctuation(token: string): string {
  let start = 0;
  let end = token.length;
  while (start < end && isAsciiPunctuation(token.charCodeAt(start))) start++;
  while (end > start && isAsciiPunctuation(token.charCodeAt(end - 1))) end--;
  return end - start <= 2 ? token : token.slice(start, end);
}

function isAsciiPunctuation(code: number): boolean {
  return (
    (code >= 0x21 && code <= 0x2f) ||
    (code >= 0x3a && code <= 0x40) ||
    (code >= 0x5b && code <= 0x60) ||
    (code >= 0x7b && code <= 0x7e)
  );
}

function isUpper(word: string): boolean {
  return word === word.toUpperCase() && word !== word.toLowerCase();
}

function hasMixedCase(words: readonly string[]): boolean {
  const upper = words.reduce((count, word) => count + (isUpper(word) ? 1 : 0), 0);
  return upper > 0 && upper < words.length;
}

function lowerAt({ lowers }: Tokens, index: number): string {
  return lowers[index] ?? '';
}

function valenceAt(tokens: Tokens, index: number, mixedCase: boolean): number {
  const own = tokens.valences[index];
  const lower = lowerAt(tokens, index);
  if (own === undefined || degreeModifiers.has(lower)) return 0;
  if (lower === 'kind' && lowerAt(tokens, index + 1) === 'of') return 0;
  let valence = own;
  // "no" negates an opinion word beside it and has a valence of its own only when it stands alone.
  if (lower === 'no' && tokens.valences[index + 1] !== undefined) valence = 0;
  if (followsNo(tokens, index)) valence = own * negationScalar;
  if (mixedCase && isUpper(tokens.words[index] ?? '')) valence += valence > 0 ? capitalsIncrement : -capitalsIncrement;
  for (let distance = 1; distance <= 3 && distance <= index; distance++) {
    if (tokens.valences[index - distance] !== undefined) continue;
    valence +=
      degree(tokens, index - distance, { valence, mixedCase }) * (distance === 1 ? 1 : distance === 2 ? 0.95 : 0.9);
    valence = negate(tokens, index, { distance, valence });
    if (distance === 3) valence = applyIdioms(tokens, index, valence);
  }
  return leastNegates(tokens, index) ? valence * negationScalar : valence;
}

function followsNo(tokens: Tokens, index: number): boolean {
  if (lowerAt(tokens, index - 1) === 'no' || lowerAt(tokens, index - 2) === 'no') return true;
  const previous = lowerAt(tokens, index - 1);
  return lowerAt(tokens, index - 3) === 'no' && (previous === 'or' || previous === 'nor');
}

/** What the degree adverb at an index adds to the valence of the word it modifies. */
function degree(tokens: Tokens, index: number, modified: { valence: number; mixedCase: boolean }): number {
  const change = degreeModifiers.get(lowerAt(tokens, index));
  if (change === undefined) return 0;
  const directed = modified.valence < 0 ? -change : change;
  if (!modified.mixedCase || !isUpper(tokens.words[index] ?? '')) return directed;
  return modified.valence > 0 ? directed + capitalsIncrement : directed - capitalsIncrement;
}

function isNegation(word: string): boolean {
  return negations.has(word) || word.includes("n't");
}

/** Negation by the word at `distance`; "never so" and "never this" intensify, "without doubt" does neither. */
function negate(tokens: Tokens, index: number, { distance, valence }: { distance: number; valence: number }): number {
  const word = lowerAt(tokens, index - distance);
  const first = lowerAt(tokens, index - 1);
  const second = lowerAt(tokens, index - 2);
  if (distance === 2) {
    if (word === 'never' && (first === 'so' || first === 'this')) return valence * 1.25;
    if (word === 'without' && first === 'doubt') return valence;
  }
  if (distance === 3) {
    const intensified =
      (word === 'never' && (second === 'so' || second === 'this')) || first === 'so' || first === 'this';
    if (intensified) return valence * 1.25;
    if (word === 'without' && (second === 'doubt' || first === 'doubt')) return valence;
  }
  return isNegation(word) ? valence * negationScalar : valence;
}

function applyIdioms(tokens: Tokens, index: number, valence: number): number {
  const phrase = (from: number, to: number): string => {
    let joined = lowerAt(tokens, from);
    for (let at = from + 1; at <= to; at++) joined += ` ${lowerAt(tokens, at)}`;
    return joined;
  };
  const before = [
    phrase(index - 1, index),
    phrase(index - 2, index),
    phrase(index - 2, index - 1),
    phrase(index - 3, index - 1),
    phrase(index - 3, index - 2),
  ];
  let result = valence;
  const found = before.find((words) => idioms.has(words));
  if (found !== undefined) result = idioms.get(found) ?? result;
  result = idioms.get(phrase(index, index + 1)) ?? result;
  result = idioms.get(phrase(index, index + 2)) ?? result;
  for (const words of [phrase(index - 3, index - 1), phrase(index - 3, index - 2), phrase(index - 2, index - 1)]) {
    result += degreeModifiers.get(words) ?? 0;
  }
  return result;
}

/** "least" negates ("least helpful"), "at least" and "very least" do not. */
function leastNegates(tokens: Tokens, index: number): boolean {
  if (lowerAt(tokens, index - 1) !== 'least') return false;
  const second = lowerAt(tokens, index - 2);
  return second !== 'at' && second !== 'very';
}

function weighContrast(tokens: Tokens, valences: number[]): void {
  const but = tokens.lowers.indexOf('but');
  if (but === -1) return;
  for (let index = 0; index < valences.length; index++) {
    if (index !== but) valences[index] = (valences[index] ?? 0) * (index < but ? 0.5 : 1.5);
  }
}

function emphasis(sentence: string): number {
  let exclamations = 0;
  let questions = 0;
  for (let index = 0; index < sentence.length; index++) {
    const code = sentence.charCodeAt(index);
    if (code === 0x21) exclamations++;
    else if (code === 0x3f) questions++;
  }
  const ofQuestions = questions <= 1 ? 0 : questions <= 3 ? questions * questionIncrement : questionCeiling;
  return Math.min(exclamations, 4) * exclamationIncrement + ofQuestions;
}

function score(valences: readonly number[], emphasized: number): Polarity {
  let sum = 0;
  let positive = 0;
  let negative = 0;
  let neutral = 0;
  for (const valence of valences) {
    sum += valence;
    // The 1 makes up for neutral words counting 1 each.
    if (valence > 0) positive += valence + 1;
    else if (valence < 0) negative += 1 - valence;
    else neutral += 1;
  }
  if (sum > 0) sum += emphasized;
  else if (sum < 0) sum -= emphasized;
  if (positive > negative) positive += emphasized;
  else if (negative > positive) negative += emphasized;
  const total = positive + negative + neutral;
  return {
    compound: sum / Math.sqrt(sum * sum + normalizationAlpha),
    positive: positive / total,
    neutral: neutral / total,
    negative: negative / total,
    hits: valences.length - neutral,
  };
}
