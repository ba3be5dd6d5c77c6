import { codeRanges } from './text/codeRanges.ts';

export interface Entities {
  /** Names after `@`, without it, in order of first appearance. */
  readonly mentions: readonly string[];
  /** Lower-case, without `#`. */
  readonly hashtags: readonly string[];
  readonly urls: readonly string[];
  readonly emails: readonly string[];
  readonly numbers: readonly { readonly text: string; readonly value: number }[];
}

/** Distinct entities of a kind read of one text; the rest are left out. */
export const maxEntities = 100;

// Sticky and of bounded length: the cost per `@` or `#` does not grow with the text.
const namePattern = /[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]{0,63}/uy;
const tagPattern = /[\p{L}\p{N}_][\p{L}\p{M}\p{N}_-]{0,63}/uy;
const domainPattern = /[a-zA-Z0-9-]{1,63}(?:\.[a-zA-Z0-9-]{1,63}){1,8}/y;
const urlPattern = /(?:https?|ftp|wss?):\/\/[^\s<>"'`]+/g;
const numberPattern = /(?<![\p{L}\p{N}_.,-])[-+]?\d{1,15}(?:,\d{3}){0,5}(?:\.\d{1,15})?%?(?![\p{L}\p{N}_-]|[.,]\d)/gu;

/**
 * The names mentioned as `@name`, outside code and e-mail addresses, in order of first appearance and without
 * repetition. A name has up to 64 letters, digits, `_`, `.` and `-` and ends with none of the last two. Linear.
 */
export function extractMentions(text: string): string[] {
  return scanMarked(text, '@', namePattern);
}

/**
 * The tags written as `#tag`, lower-case, outside code, in order of first appearance and without repetition. A tag
 * holds a letter (`#1` is a number) and stands after white space or an opening sign. Linear.
 */
export function extractHashtags(text: string): string[] {
  return scanMarked(text, '#', tagPattern);
}

function scanMarked(text: string, mark: '@' | '#', pattern: RegExp): string[] {
  let at = text.indexOf(mark);
  if (at === -1) return [];
  const found = new Set<string>();
  const ranges = codeRanges(text);
  let range = 0;
  while (at !== -1 && found.size < maxEntities) {
    while (range < ranges.length && (ranges[range]?.end ?? 0) <= at) range++;
    const inCode = (ranges[range]?.start ?? Number.POSITIVE_INFINITY) <= at;
    let next = at + 1;
    if (!inCode && (mark === '@' ? startsMention(text, at) : startsTag(text, at))) {
      pattern.lastIndex = next;
      const match = pattern.exec(text)?.[0];
      if (match !== undefined) {
        next += match.length;
        const name = mark === '@' ? match.replace(/[.-]{1,64}$/, '') : match.replace(/-{1,64}$/, '').toLowerCase();
        if (mark === '@' ? name !== '' : /\p{L}/u.test(name)) found.add(name);
      }
    }
    at = text.indexOf(mark, next);
  }
  return [...found];
}

function startsMention(text: string, at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}_./@+%-]/u.test(text.charAt(at - 1));
}

function startsTag(text: string, at: number): boolean {
  return at === 0 || /[\s([{<"',;:!?*_]/.test(text.charAt(at - 1));
}

export function extractUrls(text: string): string[] {
  const found = new Set<string>();
  if (!text.includes('://')) return [];
  for (const [match] of text.matchAll(urlPattern)) {
    if (found.size >= maxEntities) break;
    found.add(trimUrl(match.slice(0, 2_048)));
  }
  return [...found];
}

/** Without the punctuation of the sentence around it; a closing bracket stays where the URL opened it. */
function trimUrl(url: string): string {
  let end = url.length;
  let unopened = 0;
  for (const sign of url) unopened += sign === ')' ? 1 : sign === '(' ? -1 : 0;
  for (; end > 0; end--) {
    const sign = url.charAt(end - 1);
    if (sign === ')' && unopened > 0) unopened--;
    else if (!'.,;:!?*_]}'.includes(sign)) break;
  }
  return url.slice(0, end);
}

export function extractEmails(text: string): string[] {
  const found = new Set<string>();
  let at = text.indexOf('@');
  while (at !== -1 && found.size < maxEntities) {
    let start = at;
    while (start > 0 && at - start < 64 && /[a-zA-Z0-9._%+-]/.test(text.charAt(start - 1))) start--;
    domainPattern.lastIndex = at + 1;
    const domain = start < at ? domainPattern.exec(text)?.[0] : undefined;
    if (domain !== undefined && /\.[a-zA-Z]{2,63}$/.test(domain))
      found.add(`${text.slice(start, at)}@${domain}`.toLowerCase());
    at = text.indexOf('@', at + 1);
  }
  return [...found];
}

/** Numbers of the prose with their values; `12%` has value 12. */
export function extractNumbers(prose: string): { text: string; value: number }[] {
  const found = new Map<string, number>();
  for (const [match] of prose.matchAll(numberPattern)) {
    if (found.size >= maxEntities) break;
    found.set(match, Number(match.replace(/[,%]/g, '')));
  }
  return [...found].map(([text, value]) => ({ text, value }));
}

export function extractEntities(text: string, prose: string): Entities {
  return {
    mentions: extractMentions(text),
    hashtags: extractHashtags(text),
    urls: extractUrls(text),
    emails: extractEmails(text),
    numbers: extractNumbers(prose),
  };
}
