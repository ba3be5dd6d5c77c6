import { channel } from 'node:diagnostics_channel';
import type { Bus } from './bus.ts';
import type { RequestScope } from './context.ts';
import type { EphemeralEvent, EventRow } from './events.ts';

/** Drops cached answers by the tags of committed events, before the writer hears of its success. */
export interface Invalidator {
  invalidate(events: readonly EventRow[]): Promise<void>;
}

export interface Publisher {
  /** Call after COMMIT and before the mutation answers. */
  published(events: readonly EventRow[], scope?: RequestScope): Promise<void>;
  /** Passes something on that is not kept: typing, presence. */
  ephemeral(event: EphemeralEvent): void;
}

/**
 * Channel of `node:diagnostics_channel` that gets the events of a transaction, `readonly EventRow[]`, as soon as its COMMIT has
 * returned to this process: where the time to whoever follows them begins. Costs nothing while nobody listens.
 */
export const committedChannel = 'mplp.committed';
const committed = channel(committedChannel);

/** Makes committed events known: own cache first, then everyone's bus, and the caller's consistency token. */
export function createPublisher(bus: Bus, invalidator: Invalidator | null): Publisher {
  return {
    async published(events, scope) {
      if (events.length === 0) return;
      if (committed.hasSubscribers) committed.publish(events);
      if (invalidator) await invalidator.invalidate(events);
      bus.publish(events);
      for (const event of events) scope?.written.push({ eventId: event.eventId, tags: event.tags });
    },
    ephemeral: (event) => bus.publish([event]),
  };
}
