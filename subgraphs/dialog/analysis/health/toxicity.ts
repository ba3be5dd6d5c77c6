import type { Sentence } from '../text/document.ts';

export interface Toxicity {
  /** 0 to 1: the worst sentence. */
  readonly score: number;
  /** The terms found, worst first, at most ten. */
  readonly terms: readonly string[];
}

/** Severity of a word or phrase, 0 to 1. */
export type ToxicityLexicon = ReadonlyMap<string, number>;

/**
 * Small on purpose, in English, without slurs: an operator adds the ones to watch for. Severities are ours.
 */
export const defaultToxicity: ToxicityLexicon = new Map([
  ['idiot', 0.6],
  ['idiots', 0.6],
  ['moron', 0.6],
  ['morons', 0.6],
  ['imbecile', 0.6],
  ['stupid', 0.45],
  ['dumb', 0.4],
  ['pathetic', 0.45],
  ['worthless', 0.5],
  ['useless', 0.35],
  ['incompetent', 0.45],
  ['loser', 0.5],
  ['scum', 0.65],
  ['disgusting', 0.4],
  ['shut up', 0.55],
  ['hate you', 0.6],
  ['screw you', 0.7],
  ['go to hell', 0.7],
  ['fuck you', 0.8],
  ['fuck off', 0.75],
  ['fucking', 0.4],
  ['bullshit', 0.35],
  ['asshole', 0.75],
  ['bastard', 0.6],
  ['bitch', 0.7],
  ['dickhead', 0.75],
  ['drop dead', 0.7],
  ['kill yourself', 0.95],
  ['kill you', 0.9],
  ['hurt you', 0.6],
  ['you will regret', 0.55],
]);

const maxPhraseWords = 3;
const secondPerson = new Set("you your you're youre yours yourself u ur".split(' '));
const negation = new Set("not never isn't aren't no nobody without".split(' '));
const directedFactor = 1.3;
const undirectedFactor = 0.7;
const negatedFactor = 0.3;
const maxTerms = 10;

/**
 * Lexicon-based toxicity: 1 - product of (1 - severity) over the terms of a sentence; a severity weighs 1.3 where the
 * sentence addresses somebody ("you", a mention), 0.7 where not, 0.3 after a negation within two words. The score is
 * that of the worst sentence. Limits: no irony, quotation, spelling tricks or other languages; a hint for a
 * moderator, no verdict.
 */
export function scoreToxicity(sentences: readonly Sentence[], lexicon: ToxicityLexicon): Toxicity {
  const firstWords = firstWordsOf(lexicon);
  let score = 0;
  const severities = new Map<string, number>();
  for (const { words, prose } of sentences) {
    if (!words.some((word) => firstWords.has(word))) continue;
    const directed = words.some((word) => secondPerson.has(word)) || prose.includes('@');
    let harmless = 1;
    for (const { term, severity, index } of termsIn(words, lexicon, firstWords)) {
      const negated = negation.has(words[index - 1] ?? '') || negation.has(words[index - 2] ?? '');
      const factor = negated ? negatedFactor : directed ? directedFactor : undirectedFactor;
      harmless *= 1 - Math.min(1, severity * factor);
      severities.set(term, severity);
    }
    score = Math.max(score, 1 - harmless);
  }
  const terms = [...severities]
    .sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1))
    .map(([term]) => term);
  return { score: Math.round(score * 10_000) / 10_000, terms: terms.slice(0, maxTerms) };
}

const cache = new WeakMap<ToxicityLexicon, ReadonlySet<string>>();

function firstWordsOf(lexicon: ToxicityLexicon): ReadonlySet<string> {
  const known = cache.get(lexicon);
  if (known !== undefined) return known;
  const firstWords = new Set([...lexicon.keys()].map((term) => term.split(' ')[0] ?? ''));
  cache.set(lexicon, firstWords);
  return firstWords;
}

function* termsIn(
  words: readonly string[],
  lexicon: ToxicityLexicon,
  firstWords: ReadonlySet<string>,
): Generator<{ term: string; severity: number; index: number }> {
  for (let index = 0; index < words.length; index++) {
    if (!firstWords.has(words[index] ?? '')) continue;
    for (let length = maxPhraseWords; length >= 1; length--) {
      const term = words.slice(index, index + length).join(' ');
      const severity = lexicon.get(term);
      if (severity === undefined) continue;
      yield { term, severity, index };
      index += length - 1;
      break;
    }
  }
}
