import type { Bus } from './bus.ts';
import type { RequestScope } from './context.ts';
import type { EphemeralEvent, EventRow } from './events.ts';

/** Drops cached answers by tag before the writer hears of its success. */
export interface Invalidator {
  /** Tags carry their tenant in front: see `tenantTag`. */
  invalidate(tags: readonly string[]): void | Promise<void>;
}

export interface Publisher {
  /** Call after COMMIT and before the mutation answers. */
  published(events: readonly EventRow[], scope?: RequestScope): Promise<void>;
  /** Passes something on that is not kept: typing, presence. */
  ephemeral(event: EphemeralEvent): void;
}

export function tenantTag(tenantId: string, tag: string): string {
  return `${tenantId}/${tag}`;
}

export function tagsOf(events: readonly { readonly tenantId: string; readonly tags: readonly string[] }[]): string[] {
  const tags = new Set<string>();
  for (const event of events) for (const tag of event.tags) tags.add(tenantTag(event.tenantId, tag));
  return [...tags];
}

/** Makes committed events known: own cache first, then everyone's bus, and the caller's consistency token. */
export function createPublisher(bus: Bus, invalidator: Invalidator | null): Publisher {
  return {
    async published(events, scope) {
      if (events.length === 0) return;
      if (invalidator) await invalidator.invalidate(tagsOf(events));
      bus.publish(events);
      for (const event of events) scope?.written.push({ eventId: event.eventId, tags: event.tags.map((tag) => tenantTag(event.tenantId, tag)) });
    },
    ephemeral: (event) => bus.publish([event]),
  };
}
