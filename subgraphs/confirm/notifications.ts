import { z } from 'zod';
import { jsonObject } from '#shared/validation.ts';
import type { ConfirmRow, Json } from './rows.ts';

/** Hours after a step's start at which who has not decided is reminded, where the request says no others. */
const defaultReminderHours = [24, 48, 72];

/** As they are stored: the hours among what those who deliver them read. */
export const notifications = z
  .object({
    reminderHours: z
      .array(z.number().gt(0).max(720))
      .max(10)
      .refine(
        (hours) => hours.every((hour, at) => at === 0 || hour > hours[at - 1]!),
        'expected at most 10 hours over 0 to 720, each later than the one before',
      )
      .nullish(),
    settings: jsonObject({ maxBytes: 16_384 })
      .refine((given) => !Object.hasOwn(given, 'reminderHours'), 'expected reminderHours outside of the settings')
      .nullish(),
  })
  .transform(
    ({ reminderHours, settings }): Json => ({ ...settings, ...(reminderHours == null ? {} : { reminderHours }) }),
  );

export function reminderHoursOf({ notifications: stored }: Pick<ConfirmRow, 'notifications'>): readonly number[] {
  return (stored?.['reminderHours'] as readonly number[] | undefined) ?? defaultReminderHours;
}

export function notificationsPayload(row: Pick<ConfirmRow, 'notifications'>) {
  const { reminderHours: _hours, ...settings } = row.notifications ?? {};
  return { reminderHours: [...reminderHoursOf(row)], settings };
}
