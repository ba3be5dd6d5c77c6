import { createInstantOf, requireZoneOffset } from '#shared/zoneOffset.ts';

/** Hours of a day by the wall clock; an end that is not after the start is on the next day. */
export interface DayHours {
  /** `HH:MM`. */
  readonly start: string;
  /** `HH:MM`, or `24:00`. */
  readonly end: string;
  /** How much of the resource is there. @default its capacity */
  readonly capacity?: number | null | undefined;
}

export const weekdays = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const;

export interface WeekHours extends DayHours {
  readonly days: readonly (typeof weekdays)[number][];
}

/** Days that are not as others of the week; without hours there is nothing. */
export interface WorkException {
  /** `YYYY-MM-DD`, the first day. */
  readonly date: string;
  /** The last day, included. @default the first */
  readonly until?: string | null | undefined;
  readonly hours: readonly DayHours[];
  readonly reason?: string | null | undefined;
}

/** When a resource is there, week by week; outside of it there is none. */
export interface WorkWeek {
  /** IANA name. */
  readonly timezone: string;
  readonly hours: readonly WeekHours[];
  readonly exceptions: readonly WorkException[];
}

export interface CapacityChange {
  /** Epoch ms. */
  readonly at: number;
  readonly capacity: number;
}

const dayMs = 86_400_000;
const minuteMs = 60_000;

export const minuteOf = (clock: string): number => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3, 5));
export const dayOf = (date: string): number => Date.parse(`${date}T00:00:00Z`) / dayMs;

/**
 * How much there is from one instant up to another: what there is at the first, then each change. Hours belong to the day
 * that they begin on; what overlaps adds up.
 */
export function listCapacities(
  week: WorkWeek,
  { capacity, from, until }: { readonly capacity: number; readonly from: number; readonly until: number },
): CapacityChange[] {
  const instantOf = createInstantOf(week.timezone);
  const exceptions = new Map<number, readonly DayHours[]>();
  for (const { date, until: last, hours } of week.exceptions)
    for (let day = dayOf(date); day <= dayOf(last ?? date); day += 1) exceptions.set(day, hours);
  const byDay = weekdays.map((weekday) => week.hours.filter(({ days }) => days.includes(weekday)));
  const changes = new Map<number, number>();
  const change = (at: number, amount: number) => changes.set(at, (changes.get(at) ?? 0) + amount);
  const offset = requireZoneOffset(week.timezone);
  // What began the day before may go on.
  const firstDay = Math.floor((from + offset(from)) / dayMs) - 1;
  const lastDay = Math.floor((until + offset(until)) / dayMs);
  for (let day = firstDay; day <= lastDay; day += 1) {
    // 1970-01-01 was a Thursday.
    for (const { start, end, capacity: own } of exceptions.get(day) ?? byDay[(((day + 4) % 7) + 7) % 7]!) {
      const [begins, ends] = [minuteOf(start), minuteOf(end)];
      const wall = (minutes: number) => instantOf(day * dayMs + minutes * minuteMs);
      const [opens, closes] = [wall(begins), wall(ends > begins ? ends : ends + 24 * 60)];
      if (closes <= opens) continue;
      change(opens, own ?? capacity);
      change(closes, -(own ?? capacity));
    }
  }
  let current = 0;
  let found: CapacityChange[] = [{ at: from, capacity: 0 }];
  for (const at of [...changes.keys()].sort((left, right) => left - right)) {
    if (at >= until) break;
    current += changes.get(at)!;
    if (at <= from) found = [{ at: from, capacity: current }];
    else if (found.at(-1)!.capacity !== current) found.push({ at, capacity: current });
  }
  return found;
}
