import { ConditionError } from './evaluationError.ts';

export interface LocalTime {
  /** 0 is Sunday. */
  readonly dayOfWeek: number;
  readonly msOfDay: number;
}

export type LocalClock = (timeMs: number) => LocalTime;

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** One clock a zone, made at first use: a formatter costs 30 KB and more. There are about 600 zones. */
const clocks = new Map<string, LocalClock>();

/**
 * The wall clock of an IANA zone, daylight saving included. The offset is kept for the minute asked last, since zones
 * change it at full minutes only (before 1973 a few did not).
 * @throws {ConditionError} when Node knows no such zone.
 */
export function requireLocalClock(zone: string): LocalClock {
  const key = zone.slice(0, 64).toLowerCase();
  const known = clocks.get(key);
  if (known !== undefined) return known;
  const formatter = createFormatter(zone);
  let lastMinute = Number.NaN;
  let offsetMs = 0;
  const clock: LocalClock = (timeMs) => {
    const minute = Math.floor(timeMs / minuteMs);
    if (minute !== lastMinute) {
      offsetMs = readOffset(formatter, minute * minuteMs);
      lastMinute = minute;
    }
    const localMs = timeMs + offsetMs;
    const day = Math.floor(localMs / dayMs);
    // 1970-01-01 was a Thursday.
    return { dayOfWeek: (((day + 4) % 7) + 7) % 7, msOfDay: localMs - day * dayMs };
  };
  clocks.set(key, clock);
  return clock;
}

function createFormatter(zone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw new ConditionError(`expected an IANA time zone, got ${zone.slice(0, 60)}`);
  }
}

/** Local minus universal time at an instant that is a whole second. */
function readOffset(formatter: Intl.DateTimeFormat, timeMs: number): number {
  const parts: Record<string, number> = {};
  let isBeforeChrist = false;
  for (const { type, value } of formatter.formatToParts(timeMs)) {
    if (type === 'era') isBeforeChrist = value.startsWith('B');
    else parts[type] = Number(value);
  }
  const year = isBeforeChrist ? 1 - parts['year']! : parts['year']!;
  const local = new Date(0);
  local.setUTCFullYear(year, parts['month']! - 1, parts['day']!);
  local.setUTCHours(parts['hour']!, parts['minute']!, parts['second']!);
  return local.getTime() - timeMs;
}
