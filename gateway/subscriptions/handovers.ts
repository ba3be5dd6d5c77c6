import { runForAll } from '#shared/cancellation.ts';
import type { Handover, StreamSubscription } from '#shared/events.ts';
import type { SubscriptionHubDeps } from './contract.ts';

/** What was handed to clients is noted within this time, ms. */
const flushMs = 200;

/** Collects what gates say of results handed to their clients; noted in the background, many at once. */
export function createHandovers({ sqlOf, logger }: Pick<SubscriptionHubDeps, 'sqlOf' | 'logger'>) {
  let waiting = new Map<StreamSubscription, Handover[]>();
  let timer: NodeJS.Timeout | null = null;
  let flushing: Promise<unknown> = Promise.resolve();

  function flush(): Promise<unknown> {
    if (timer) clearTimeout(timer);
    timer = null;
    const batches = [...waiting];
    waiting = new Map();
    flushing = flushing.then(() => Promise.all(batches.map(([source, handovers]) => note(source, handovers))));
    return flushing;
  }

  async function note(source: StreamSubscription, handovers: readonly Handover[]): Promise<void> {
    try {
      await source.noteHandovers?.(handovers, { sql: sqlOf(source.module) });
    } catch (err) {
      // What is not noted was not handed over, as far as its module knows.
      logger.warn({ err, handovers: handovers.length }, 'results handed to clients could not be noted');
    }
  }

  return {
    add(source: StreamSubscription, handover: Handover): void {
      const known = waiting.get(source);
      if (known) known.push(handover);
      else waiting.set(source, [handover]);
      timer ??= setTimeout(() => void runForAll(flush), flushMs);
    },
    flush,
  };
}
