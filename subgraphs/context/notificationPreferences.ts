import { z } from 'zod';

const channels = ['email', 'push', 'inApp'] as const;

/** By which ways a participant wants to be told; whoever delivers asks for it. */
export type NotificationPreferences = Readonly<Record<(typeof channels)[number], boolean>>;

export const notificationsInput = z.strictObject({
  email: z.boolean().nullish(),
  push: z.boolean().nullish(),
  inApp: z.boolean().nullish(),
});

/** Every way is on until it is turned off; what else older rows hold is not shown. */
export function notificationsOf(stored: unknown): NotificationPreferences {
  const said = (stored ?? {}) as Partial<Record<(typeof channels)[number], unknown>>;
  return { email: said.email !== false, push: said.push !== false, inApp: said.inApp !== false };
}

/** What a change leaves: absent and null ways stay as they are. */
export function changeNotifications(
  stored: unknown,
  change: z.output<typeof notificationsInput> | null | undefined,
): NotificationPreferences {
  const before = notificationsOf(stored);
  return {
    email: change?.email ?? before.email,
    push: change?.push ?? before.push,
    inApp: change?.inApp ?? before.inApp,
  };
}
