export interface ResolvedDate {
  readonly atMs: number;
  readonly precision: 'DAY' | 'MINUTE';
  readonly confidence: number;
}

export interface DateRule {
  readonly pattern: RegExp;
  resolve(match: RegExpExecArray, anchor: Date | null): ResolvedDate | null;
}

const dayMs = 86_400_000;
const monthNames = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const weekdays = 'sun mon tue wed thu fri sat'.split(' ');
const month =
  '(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t|tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)';
const weekday =
  '([Mm]onday|[Tt]uesday|[Ww]ednesday|[Tt]hursday|[Ff]riday|[Ss]aturday|[Ss]unday|Mon|Tues?|Wed|Thurs?|Fri)';
const numberWords = 'one two three four five six seven eight nine ten eleven twelve'.split(' ');
const amount = `(\\d{1,3}|an?|${numberWords.join('|')})`;
const unitMs: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: dayMs, week: 7 * dayMs };

/** Tried in this order; an earlier match hides later ones that overlap it. */
export const dateRules: readonly DateRule[] = [
  {
    pattern:
      /\b(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?(?![\d-])/g,
    resolve: ([, year, monthText, dayText, hour, minute, zone]) => {
      const atMs = utcDay(Number(year), Number(monthText), Number(dayText));
      if (atMs === null) return null;
      if (hour === undefined || minute === undefined || Number(hour) > 23 || Number(minute) > 59) return day(atMs, 1);
      return {
        atMs: atMs + Number(hour) * 3_600_000 + Number(minute) * 60_000 - offsetMs(zone),
        precision: 'MINUTE',
        confidence: 1,
      };
    },
  },
  {
    pattern: new RegExp(`\\b(\\d{1,2})(?:st|nd|rd|th)?\\s(?:of\\s)?${month}\\b\\.?(?:,?\\s(\\d{4})\\b)?`, 'g'),
    resolve: ([, dayText, name, year], anchor) => named(name, dayText, year, anchor),
  },
  {
    pattern: new RegExp(`\\b${month}\\.?\\s(\\d{1,2})(?:st|nd|rd|th)?\\b(?:,?\\s(\\d{4})\\b)?`, 'g'),
    resolve: ([, name, dayText, year], anchor) => named(name, dayText, year, anchor),
  },
  {
    pattern: /(?<![\d/])(\d{1,2})\/(\d{1,2})\/(\d{4})(?![\d/])/g,
    resolve: ([, first, second, year]) => {
      const [a, b] = [Number(first), Number(second)];
      const atMs = a > 12 ? utcDay(Number(year), b, a) : utcDay(Number(year), a, b);
      return atMs === null ? null : day(atMs, a > 12 || b > 12 || a === b ? 0.9 : 0.4);
    },
  },
  {
    pattern:
      /\b(?:the\s)?(day\safter\stomorrow|tomorrow|today|tonight|yesterday|end\sof\s(?:the\s)?(?:day|week|month)|EOD|EOW|EOM|COB)\b/gi,
    resolve: ([, words], anchor) => (anchor === null ? null : relativeDay((words ?? '').toLowerCase(), anchor)),
  },
  {
    pattern: new RegExp(`\\b(?:in|within)\\s(?:the\\snext\\s)?${amount}\\s(minute|hour|day|week|month)s?\\b`, 'gi'),
    resolve: ([, count, unit], anchor) =>
      anchor === null ? null : shifted(anchor, amountOf(count), (unit ?? '').toLowerCase()),
  },
  {
    pattern: new RegExp(`\\b${amount}\\s(minute|hour|day|week|month)s?\\sago\\b`, 'gi'),
    resolve: ([, count, unit], anchor) =>
      anchor === null ? null : shifted(anchor, -amountOf(count), (unit ?? '').toLowerCase()),
  },
  {
    pattern: /\b(this|next|last)\s(week|month)\b/gi,
    resolve: ([, which, unit], anchor) =>
      anchor === null ? null : period((which ?? '').toLowerCase(), (unit ?? '').toLowerCase(), anchor),
  },
  {
    pattern: new RegExp(`\\b(?:(this|next|last|by|on|before|until|till)\\s)?${weekday}\\b`, 'g'),
    resolve: ([, which, name], anchor) => (anchor === null ? null : weekdayNear(which, name ?? '', anchor)),
  },
];

function day(atMs: number, confidence: number): ResolvedDate {
  return { atMs, precision: 'DAY', confidence };
}

function utcDay(year: number, monthNumber: number, dayOfMonth: number): number | null {
  const atMs = Date.UTC(year, monthNumber - 1, dayOfMonth);
  const date = new Date(atMs);
  const valid = year >= 1000 && date.getUTCMonth() === monthNumber - 1 && date.getUTCDate() === dayOfMonth;
  return valid ? atMs : null;
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

function startOfDay(date: Date): number {
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
}

function named(
  name: string | undefined,
  dayText: string | undefined,
  yearText: string | undefined,
  anchor: Date | null,
): ResolvedDate | null {
  const monthNumber = monthNames.indexOf((name ?? '').slice(0, 3).toLowerCase()) + 1;
  const dayOfMonth = Number(dayText);
  if (yearText !== undefined) {
    const atMs = utcDay(Number(yearText), monthNumber, dayOfMonth);
    return atMs === null ? null : day(atMs, 0.95);
  }
  if (anchor === null) return null;
  const year = anchor.getUTCFullYear();
  const earliest = startOfDay(anchor) - 31 * dayMs;
  for (const candidate of [year - 1, year, year + 1]) {
    const atMs = utcDay(candidate, monthNumber, dayOfMonth);
    if (atMs !== null && atMs >= earliest) return day(atMs, 0.85);
  }
  return null;
}

function amountOf(text: string | undefined): number {
  const words = (text ?? '').toLowerCase();
  if (words === 'a' || words === 'an') return 1;
  const word = numberWords.indexOf(words);
  return word === -1 ? Number(words) : word + 1;
}

function relativeDay(words: string, anchor: Date): ResolvedDate {
  const today = startOfDay(anchor);
  const name = words.replace(/\s+/g, ' ').replace('of the ', 'of ');
  switch (name) {
    case 'day after tomorrow':
      return day(today + 2 * dayMs, 0.95);
    case 'tomorrow':
      return day(today + dayMs, 0.95);
    case 'yesterday':
      return day(today - dayMs, 0.95);
    case 'end of week':
    case 'eow':
      return day(mondayOf(anchor) + 4 * dayMs, 0.8);
    case 'end of month':
    case 'eom':
      return day(Date.UTC(anchor.getUTCFullYear(), anchor.getUTCMonth() + 1, 0), 0.9);
    default:
      return day(today, 0.95);
  }
}

function shifted(anchor: Date, count: number, unit: string): ResolvedDate {
  if (unit === 'month') {
    // The last day of a shorter month: 31 January and one month is 28 or 29 February.
    const target = new Date(Date.UTC(anchor.getUTCFullYear(), anchor.getUTCMonth() + count, 1));
    const lastDay = new Date(Date.UTC(target.getUTCFullYear(), target.getUTCMonth() + 1, 0)).getUTCDate();
    return day(target.getTime() + (Math.min(anchor.getUTCDate(), lastDay) - 1) * dayMs, 0.9);
  }
  if (unit === 'minute' || unit === 'hour') {
    return { atMs: anchor.getTime() + count * (unitMs[unit] ?? 0), precision: 'MINUTE', confidence: 0.9 };
  }
  return day(startOfDay(anchor) + count * (unitMs[unit] ?? 0), 0.9);
}

function mondayOf(anchor: Date): number {
  return startOfDay(anchor) - ((anchor.getUTCDay() + 6) % 7) * dayMs;
}

/** A week is dated by its Friday, a month by its last day: the end of the working period. */
function period(which: string, unit: string, anchor: Date): ResolvedDate {
  const step = which === 'next' ? 1 : which === 'last' ? -1 : 0;
  if (unit === 'week') return day(mondayOf(anchor) + (4 + step * 7) * dayMs, 0.7);
  return day(Date.UTC(anchor.getUTCFullYear(), anchor.getUTCMonth() + 1 + step, 0), 0.7);
}

function weekdayNear(which: string | undefined, name: string, anchor: Date): ResolvedDate {
  const wanted = weekdays.indexOf(name.slice(0, 3).toLowerCase());
  const today = startOfDay(anchor);
  if (which === 'next') return day(mondayOf(anchor) + (7 + ((wanted + 6) % 7)) * dayMs, 0.8);
  if (which === 'last') return day(today - ((anchor.getUTCDay() - wanted + 6) % 7) * dayMs - dayMs, 0.85);
  const ahead = (wanted - anchor.getUTCDay() + 7) % 7;
  return day(today + (ahead === 0 && which !== 'this' ? 7 : ahead) * dayMs, which === undefined ? 0.7 : 0.9);
}
