import { z } from 'zod';
import { text } from '#shared/validation.ts';
import { requireZoneOffset } from '#shared/zoneOffset.ts';
import { dayOf, weekdays } from './workWeek.ts';

const clock = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'expected a time of day as HH:MM');
const dayHours = z.object({
  start: clock,
  end: z.union([clock, z.literal('24:00')], { error: 'expected a time of day as HH:MM, or 24:00' }),
  capacity: z.number().int().min(0).max(1_000_000).nullish(),
});
const isSpan = ({ start, end }: { readonly start: string; readonly end: string }) => start !== end;
const noSpan = 'expected an end that is not the start: all day is 00:00 to 24:00';

const date = z.iso.date();
const maxDays = 366;

const exception = z
  .object({
    date,
    until: date.nullish(),
    hours: z.array(dayHours.refine(isSpan, noSpan)).max(20),
    reason: text({ max: 255 }).nullish(),
  })
  .refine(({ date: from, until }) => until == null || until >= from, 'expected an until that is not before the date')
  .refine(
    ({ date: from, until }) => until == null || dayOf(until) - dayOf(from) < maxDays,
    `expected ${maxDays} days at most`,
  );

const isZone = (zone: string): boolean => {
  try {
    requireZoneOffset(zone);
    return true;
  } catch {
    return false;
  }
};

/** When a resource is there, week by week. */
export const workWeek = z.object({
  timezone: text({ min: 1, max: 64 }).refine(isZone, 'expected an IANA time zone like Europe/Athens'),
  hours: z
    .array(
      dayHours
        .extend({
          days: z
            .array(z.enum(weekdays))
            .min(1)
            .max(7)
            .refine((days) => new Set(days).size === days.length, 'expected each day once'),
        })
        .refine(isSpan, noSpan),
    )
    .min(1)
    .max(50),
  exceptions: z
    .array(exception)
    .max(400)
    .refine((list) => {
      const spans = list
        .map(({ date: from, until }) => [dayOf(from), dayOf(until ?? from)] as const)
        .sort((left, right) => left[0] - right[0]);
      return spans.every(([from], at) => at === 0 || spans[at - 1]![1] < from);
    }, 'expected each day in one exception at most')
    .nullish()
    .transform((list) => list ?? []),
});
