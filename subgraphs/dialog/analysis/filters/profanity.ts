import { wordsOf } from '../text/tokens.ts';
import type { ContentFilter } from './contentFilter.ts';

/** Short and English, without slurs: an operator who turns the filter on will bring a list. */
export const defaultProfanity: readonly string[] = [
  'asshole',
  'bastard',
  'bitch',
  'bullshit',
  'cunt',
  'dickhead',
  'fuck',
  'fucked',
  'fucker',
  'fucking',
  'motherfucker',
  'shit',
  'shitty',
  'wanker',
];

/** Refuses whole words of a list (so that Scunthorpe passes), whatever their case; no spelling tricks are seen. */
export function createProfanityFilter(terms: readonly string[] = defaultProfanity): ContentFilter {
  const list = new Set(terms.map((term) => term.toLowerCase()));
  return {
    name: 'profanity',
    check: ({ text }) => {
      const count = wordsOf(text).filter((word) => list.has(word)).length;
      if (count === 0) return [];
      return [
        { filter: 'profanity', code: 'PROFANITY', action: 'REJECT', detail: `${count} words of the profanity list.` },
      ];
    },
  };
}
