/** What an event is about, as the event bus of the protocol tells it. */
export const eventCategories = [
  'MODULE_LIFECYCLE',
  'COORDINATION_REQUEST',
  'COORDINATION_RESPONSE',
  'WORKFLOW_STATUS',
  'TRANSACTION_EVENT',
  'ERROR_EVENT',
  'PERFORMANCE_METRICS',
  'SECURITY_EVENT',
  'CUSTOM_EVENT',
] as const;
export type EventCategory = (typeof eventCategories)[number];

/** From the least urgent on: a delivery keeps the place in this list. */
export const eventPriorities = ['LOW', 'NORMAL', 'HIGH', 'URGENT', 'CRITICAL'] as const;
export type EventPriority = (typeof eventPriorities)[number];

export const rankOf = (priority: EventPriority): number => eventPriorities.indexOf(priority);

interface Told {
  readonly headers: unknown;
  readonly targetModules: readonly string[];
}

interface Listener {
  readonly module: string | null;
  readonly headers: Readonly<Record<string, unknown>> | null;
}

/** Whether an event is for a consumer group: its targets name the group's module, and it has the headers asked for. */
export function isFor({ module, headers: asked }: Listener, { headers, targetModules }: Told): boolean {
  if (module !== null && targetModules.length > 0 && !targetModules.includes(module)) return false;
  if (asked === null) return true;
  const given = (headers ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(asked).every(([name, value]) => Object.hasOwn(given, name) && given[name] === value);
}
