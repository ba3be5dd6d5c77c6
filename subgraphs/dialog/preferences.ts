import { z } from 'zod';

const alerts = ['email', 'push', 'mentionAlerts', 'decisionAlerts', 'approvalAlerts', 'escalationAlerts'] as const;
type Alert = (typeof alerts)[number];

/** What a participant wants to be told of, and by which ways; whoever delivers asks for it. */
export type DialogNotifications = Readonly<Record<Alert, boolean>>;

export interface WorkingHours {
  /** `HH:MM`, in the participant's time zone. */
  readonly start: string;
  /** Before `start`: on the next day. */
  readonly end: string;
}

export interface DialogAvailability {
  readonly workingHours: WorkingHours | null;
  readonly preferredResponseMs: number | null;
}

const flag = z.boolean().nullish();

export const notificationsInput = z.strictObject({
  email: flag,
  push: flag,
  mentionAlerts: flag,
  decisionAlerts: flag,
  approvalAlerts: flag,
  escalationAlerts: flag,
});

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'expected a time of day like 09:00');
const maxResponseMs = 365 * 86_400_000;

export const availabilityInput = z.strictObject({
  workingHours: z.strictObject({ start: timeOfDay, end: timeOfDay }).nullish(),
  preferredResponseMs: z.number().int().min(0).max(maxResponseMs).nullish(),
});

/** Names the runtime has tables for, links and offsets among them. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** Everything is on until it is turned off; what else older rows hold is not shown. */
export function notificationsOf(stored: unknown): DialogNotifications {
  const said = (stored ?? {}) as Partial<Record<Alert, unknown>>;
  return Object.fromEntries(alerts.map((name) => [name, said[name] !== false])) as Record<Alert, boolean>;
}

/** What a change leaves: absent and null flags stay as they are. */
export function changeNotifications(
  stored: unknown,
  change: z.output<typeof notificationsInput> | null | undefined,
): DialogNotifications {
  const before = notificationsOf(stored);
  return Object.fromEntries(alerts.map((name) => [name, change?.[name] ?? before[name]])) as Record<Alert, boolean>;
}

/** Null where nothing was said of it, in this form. */
export function availabilityOf(stored: unknown): DialogAvailability | null {
  const { data } = availabilityInput.safeParse(stored);
  if (!data || (data.workingHours == null && data.preferredResponseMs == null)) return null;
  return { workingHours: data.workingHours ?? null, preferredResponseMs: data.preferredResponseMs ?? null };
}
