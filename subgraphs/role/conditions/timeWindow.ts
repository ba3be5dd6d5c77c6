import { ConditionError } from './evaluationError.ts';
import { requireLocalClock } from './localTime.ts';

export interface TimeWindow {
  /** `HH:MM` or `HH:MM:SS` every day in the zone, or an instant as ISO 8601 with its offset. Inclusive. */
  readonly start?: string;
  /** Of the same kind as `start`; exclusive. `24:00` is the end of the day. An end before the start is on the next day. */
  readonly end?: string;
  /** IANA name. @default UTC */
  readonly timezone?: string;
  /** 0 is Sunday. A window over midnight belongs to the day it starts on. @default all */
  readonly daysOfWeek?: readonly number[];
}

const dayMs = 86_400_000;
const clockPattern = /^([01]\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?$/;
const instantPattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * Compiles a window to a question of an instant. Times of day are those of the wall clock: an hour that daylight saving
 * skips never comes, one that it repeats counts both times.
 * @throws {ConditionError} when a bound, the zone or a day cannot be read.
 */
export function compileTimeWindow(window: TimeWindow): (timeMs: number) => boolean {
  const days = readDays(window.daysOfWeek);
  const clock = requireLocalClock(window.timezone ?? 'UTC');
  const bounds = [window.start, window.end].filter((bound) => bound !== undefined);
  if (bounds.some((bound) => bound.includes('T'))) {
    const fromMs = window.start === undefined ? Number.NEGATIVE_INFINITY : readInstant(window.start);
    const untilMs = window.end === undefined ? Number.POSITIVE_INFINITY : readInstant(window.end);
    if (fromMs >= untilMs) throw new ConditionError(`expected an end after ${window.start}, got ${window.end}`);
    return (timeMs) => timeMs >= fromMs && timeMs < untilMs && (days === 127 || hasDay(days, clock(timeMs).dayOfWeek));
  }
  const from = window.start === undefined ? 0 : readClock(window.start);
  const until = window.end === undefined ? dayMs : readClock(window.end);
  if (from < until) {
    return (timeMs) => {
      const { msOfDay, dayOfWeek } = clock(timeMs);
      return msOfDay >= from && msOfDay < until && hasDay(days, dayOfWeek);
    };
  }
  return (timeMs) => {
    const { msOfDay, dayOfWeek } = clock(timeMs);
    if (msOfDay >= from) return hasDay(days, dayOfWeek);
    return msOfDay < until && hasDay(days, (dayOfWeek + 6) % 7);
  };
}

function hasDay(days: number, day: number): boolean {
  return ((days >>> day) & 1) === 1;
}

function readDays(daysOfWeek: readonly number[] | undefined): number {
  if (daysOfWeek === undefined) return 127;
  let days = 0;
  for (const day of daysOfWeek) {
    if (!Number.isInteger(day) || day < 0 || day > 6) throw new ConditionError(`expected days from 0 to 6, got ${day}`);
    days |= 1 << day;
  }
  return days;
}

function readClock(text: string): number {
  const match = clockPattern.exec(text);
  const [hours, minutes, seconds] = [match?.[1], match?.[2], match?.[3] ?? '0'].map(Number);
  const ms = ((hours! * 60 + minutes!) * 60 + seconds!) * 1_000;
  if (match === null || ms > dayMs) throw new ConditionError(`expected HH:MM up to 24:00, got ${text.slice(0, 60)}`);
  return ms;
}

function readInstant(text: string): number {
  const ms = instantPattern.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new ConditionError(`expected an ISO 8601 instant with offset, got ${text.slice(0, 60)}`);
  return ms;
}
