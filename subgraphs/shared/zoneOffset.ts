/** Local minus universal time in milliseconds, at an instant. */
export type ZoneOffset = (timeMs: number) => number;

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** One a zone, made at first use: a formatter costs 30 KB and more. There are about 600 zones. */
const offsets = new Map<string, ZoneOffset>();

/**
 * The offset of an IANA zone, daylight saving included. It is kept for the minute asked last, since zones change it at
 * full minutes only (before 1973 a few did not).
 * @throws {RangeError} when Node knows no such zone.
 */
export function requireZoneOffset(zone: string): ZoneOffset {
  const key = zone.slice(0, 64).toLowerCase();
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const formatter = createFormatter(zone);
  let lastMinute = Number.NaN;
  let lastMs = 0;
  const offset: ZoneOffset = (timeMs) => {
    const minute = Math.floor(timeMs / minuteMs);
    if (minute !== lastMinute) {
      lastMs = readOffset(formatter, minute * minuteMs);
      lastMinute = minute;
    }
    return lastMs;
  };
  offsets.set(key, offset);
  return offset;
}

/**
 * From wall clock to instant. Of a time that comes twice the first is meant; one that is skipped is as much later as was
 * skipped (as java.time resolves them). Offsets are read once a day: most days have one.
 * @throws {RangeError} when Node knows no such zone.
 */
export function createInstantOf(zone: string): (wallMs: number) => number {
  const offset = requireZoneOffset(zone);
  const days = new Map<number, number>();
  const ofDay = (day: number): number => {
    const known = days.get(day);
    if (known !== undefined) return known;
    const read = offset(day * dayMs);
    days.set(day, read);
    return read;
  };
  return (wallMs) => {
    const day = Math.floor(wallMs / dayMs);
    // No zone is further than a day from universal time.
    const [before, after] = [ofDay(day - 1), ofDay(day + 2)];
    if (before === after) return wallMs - before;
    const candidates = [wallMs - before, wallMs - after].filter((instant) => instant + offset(instant) === wallMs);
    return candidates.length === 0 ? wallMs - before : Math.min(...candidates);
  };
}

function createFormatter(zone: string): Intl.DateTimeFormat {
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
