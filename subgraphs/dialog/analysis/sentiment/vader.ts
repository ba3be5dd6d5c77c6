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

interface Token {
  readonly word: string;
  readonly lower: string;
  /** Undefined: not in the lexicon. */
  readonly valence: number | undefined;
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
    if (tokens.length === 0) return neutralPolarity;
    if (tokens.every(({ valence }) => valence === undefined)) return { ...neutralPolarity, neutral: 1 };
    const mixedCase = hasMixedCase(tokens);
    const valences = tokens.map((_, index) => valenceAt(tokens, index, mixedCase));
    weighContrast(tokens, valences);
    return score(valences, emphasis(sentence));
  };
}

const anyEmoji = /[\u{1F300}-\u{1FAFF}❤]/u;

function wordsForEmoji(text: string): string {
  if (!anyEmoji.test(text)) return text;
  return text.replace(/[\u{1F300}-\u{1FAFF}❤]/gu, (emoji) => ` ${emojiWords.get(emoji) ?? ''} `);
}

function tokenize(text: string, lexicon: ValenceLexicon): Token[] {
  const tokens: Token[] = [];
  for (const raw of text.split(/\s+/)) {
    if (raw === '') continue;
    const word = stripPunctuation(raw);
    const lower = word.toLowerCase();
    tokens.push({ word, lower, valence: lexicon.get(lower) });
  }
  return tokens;
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

function hasMixedCase(tokens: readonly Token[]): boolean {
  const upper = tokens.reduce((count, { word }) => count + (isUpper(word) ? 1 : 0), 0);
  return upper > 0 && upper < tokens.length;
}

function lowerAt(tokens: readonly Token[], index: number): string {
  return tokens[index]?.lower ?? '';
}

function valenceAt(tokens: readonly Token[], index: number, mixedCase: boolean): number {
  const token = tokens[index];
  if (token?.valence === undefined || degreeModifiers.has(token.lower)) return 0;
  if (token.lower === 'kind' && lowerAt(tokens, index + 1) === 'of') return 0;
  let valence = token.valence;
  // "no" negates an opinion word beside it and has a valence of its own only when it stands alone.
  if (token.lower === 'no' && tokens[index + 1]?.valence !== undefined) valence = 0;
  if (followsNo(tokens, index)) valence = token.valence * negationScalar;
  if (mixedCase && isUpper(token.word)) valence += valence > 0 ? capitalsIncrement : -capitalsIncrement;
  for (let distance = 1; distance <= 3; distance++) {
    const before = tokens[index - distance];
    if (before === undefined || before.valence !== undefined) continue;
    valence += degree(before, valence, mixedCase) * (distance === 1 ? 1 : distance === 2 ? 0.95 : 0.9);
    valence = negate(tokens, index, distance, valence);
    if (distance === 3) valence = applyIdioms(tokens, index, valence);
  }
  return leastNegates(tokens, index) ? valence * negationScalar : valence;
}

function followsNo(tokens: readonly Token[], index: number): boolean {
  if (lowerAt(tokens, index - 1) === 'no' || lowerAt(tokens, index - 2) === 'no') return true;
  const previous = lowerAt(tokens, index - 1);
  return lowerAt(tokens, index - 3) === 'no' && (previous === 'or' || previous === 'nor');
}

function degree(modifier: Token, valence: number, mixedCase: boolean): number {
  const change = degreeModifiers.get(modifier.lower);
  if (change === undefined) return 0;
  const directed = valence < 0 ? -change : change;
  if (!mixedCase || !isUpper(modifier.word)) return directed;
  return valence > 0 ? directed + capitalsIncrement : directed - capitalsIncrement;
}

function isNegation(word: string): boolean {
  return negations.has(word) || word.includes("n't");
}

/** Negation by the word at `distance`; "never so" and "never this" intensify, "without doubt" does neither. */
function negate(tokens: readonly Token[], index: number, distance: number, valence: number): number {
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

function applyIdioms(tokens: readonly Token[], index: number, valence: number): number {
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
function leastNegates(tokens: readonly Token[], index: number): boolean {
  if (lowerAt(tokens, index - 1) !== 'least') return false;
  const second = lowerAt(tokens, index - 2);
  return second !== 'at' && second !== 'very';
}

function weighContrast(tokens: readonly Token[], valences: number[]): void {
  const but = tokens.findIndex(({ lower }) => lower === 'but');
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
