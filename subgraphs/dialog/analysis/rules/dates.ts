import { type DateRule, dateRules, type ResolvedDate } from './datePatterns.ts';

export interface DateMention {
  /** As written. */
  readonly text: string;
  /** ISO 8601 in UTC; the first instant of the day where the precision is DAY. */
  readonly at: string;
  readonly precision: 'DAY' | 'MINUTE';
  /** 0 to 1: low where day and month could be exchanged. */
  readonly confidence: number;
}

/** Dates read of one text; the rest are left out. */
const maxDates = 20;
const dayMs = 86_400_000;
/** Later, or as far before 1970, is no date that anybody means, and near the end of what a Date holds. */
const latestMs = Date.UTC(9999, 11, 31);
const mayHoldDate = /\d|day|tomorrow|tonight|week|month|hour|\bEO[DWM]\b|\bCOB\b/i;

/**
 * Finds dates by rules (English) and resolves relative ones against `sentAt` in UTC, so that the same message gives
 * the same dates anywhere. A weekday is the next one strictly after the day of sending, `next` the one of the
 * following ISO week, `last` the latest strictly before; a date without a year is the one nearest to `sentAt` that
 * lies at most 31 days back. Relative dates are left out where `sentAt` is no date.
 */
export function extractDates(text: string, sentAt: string): DateMention[] {
  if (!mayHoldDate.test(text)) return [];
  const anchorMs = Date.parse(sentAt);
  const anchor = Number.isNaN(anchorMs) ? null : new Date(anchorMs);
  const found: { start: number; end: number; mention: DateMention }[] = [];
  for (const rule of dateRules) collect(found, rule, text, anchor);
  return found
    .sort((left, right) => left.start - right.start)
    .slice(0, maxDates)
    .map(({ mention }) => mention);
}

function collect(
  found: { start: number; end: number; mention: DateMention }[],
  rule: DateRule,
  text: string,
  anchor: Date | null,
): void {
  for (const match of text.matchAll(rule.pattern)) {
    if (found.length >= maxDates * 2) return;
    const start = match.index;
    const end = start + match[0].length;
    if (found.some((other) => start < other.end && other.start < end)) continue;
    const resolved = rule.resolve(match, anchor);
    if (resolved !== null && Math.abs(resolved.atMs) < latestMs)
      found.push({ start, end, mention: mention(match[0], resolved) });
  }
}

function mention(text: string, { atMs, precision, confidence }: ResolvedDate): DateMention {
  return { text: text.trim(), at: new Date(atMs).toISOString(), precision, confidence };
}

/** The first date that is not past on the day of sending, as the instant by which it is over; null without one. */
export function findDueDate(dates: readonly DateMention[], sentAt: string): string | null {
  const sentMs = Date.parse(sentAt);
  for (const { at, precision, confidence } of dates) {
    const atMs = Date.parse(at);
    if (confidence < 0.5 || (!Number.isNaN(sentMs) && atMs < sentMs - (sentMs % dayMs))) continue;
    return precision === 'DAY' ? new Date(atMs + dayMs - 1).toISOString() : at;
  }
  return null;
}
