import { createMaliciousFilter } from './malicious.ts';
import { createProfanityFilter } from './profanity.ts';
import { createSpamFilter, type SpamLimits } from './spam.ts';

export type FilterReasonCode =
  | 'CHARACTER_FLOOD'
  | 'WORD_REPETITION'
  | 'URL_FLOOD'
  | 'MENTION_FLOOD'
  | 'REPEATED_MESSAGE'
  | 'COMBINING_MARK_FLOOD'
  | 'HIDDEN_TEXT'
  | 'BIDI_OVERRIDE'
  | 'ACTIVE_CONTENT'
  | 'DANGEROUS_LINK'
  | 'PROFANITY';

export interface FilterReason {
  readonly filter: string;
  readonly code: FilterReasonCode;
  /** REJECT refuses the message; FLAG lets it pass and reports it. */
  readonly action: 'REJECT' | 'FLAG';
  /** For people: what was found and what is allowed. Never repeats the text. */
  readonly detail: string;
}

export interface FilterInput {
  readonly text: string;
  /** What the same sender said last in the dialog, newest first; for repetition. */
  readonly recentTexts?: readonly string[];
}

export interface ContentFilter {
  readonly name: string;
  check(input: FilterInput): readonly FilterReason[];
}

export interface FilterResult {
  readonly allowed: boolean;
  readonly reasons: readonly FilterReason[];
}

export interface ContentFilterConfig {
  /** @default true */
  readonly spam?: boolean;
  readonly spamLimits?: Partial<SpamLimits>;
  /** @default true */
  readonly malicious?: boolean;
  /** Reasons of profanity reject; off unless asked for. @default false */
  readonly profanity?: boolean;
  /** In place of the built-in list. */
  readonly profanityTerms?: readonly string[];
  /** Run after the built-in ones. */
  readonly additional?: readonly ContentFilter[];
  /** Changes the action of a code, or `OFF` drops it. */
  readonly actions?: Partial<Record<FilterReasonCode, FilterReason['action'] | 'OFF'>>;
}

/** The filters a message passes before it is stored; every check is linear in the text and keeps no state. */
export function createContentFilters(config: ContentFilterConfig = {}): { check(input: FilterInput): FilterResult } {
  const filters: ContentFilter[] = [];
  if (config.spam ?? true) filters.push(createSpamFilter(config.spamLimits));
  if (config.malicious ?? true) filters.push(createMaliciousFilter());
  if (config.profanity ?? false) filters.push(createProfanityFilter(config.profanityTerms));
  filters.push(...(config.additional ?? []));
  return {
    check: (input) => {
      const reasons: FilterReason[] = [];
      for (const filter of filters) {
        for (const reason of filter.check(input)) {
          const action = config.actions?.[reason.code] ?? reason.action;
          if (action !== 'OFF') reasons.push({ ...reason, action });
        }
      }
      return { allowed: reasons.every(({ action }) => action !== 'REJECT'), reasons };
    },
  };
}
