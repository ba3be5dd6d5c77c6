import type { RequestScope } from '#shared/context.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createDeliveries } from './deliveries.ts';
import { createFanOut } from './fanOut.ts';
import { createEventReading } from './log.ts';
import { findEventMetrics } from './metrics.ts';
import { createPublishing } from './publish.ts';
import { createReplay } from './replay.ts';
import { createSubscriptions } from './subscriptions.ts';
import { createDeliveryWorker, type DeliveryWorker } from './worker.ts';

/** Events of callers, the log of all events, and their delivery to consumer groups. */
export function createEvents(runtime: ModuleRuntime, once: Once) {
  const { sql, bus, config } = runtime;
  let worker: DeliveryWorker | null = null;
  const wake = () => worker?.wake();
  const reading = createEventReading(runtime);
  return {
    publish: createPublishing(runtime),
    page: reading.page,
    subscriptions: createSubscriptions(runtime, once),
    deliveries: createDeliveries(runtime, once, wake),
    replay: createReplay(reading, once, wake),
    metrics: (scope: RequestScope, asked: { subscriptionId: string | null; from: Date; to: Date }) =>
      findEventMetrics(sql, scope, asked),

    /** Forgets deliveries that ended, and what consumers processed, as long ago as events are kept. */
    async sweep(): Promise<void> {
      await sql`
        DELETE FROM platform.delivery WHERE created_at < now() - ${config.EVENT_RETENTION_DAYS}::int * interval '1 day'
          AND status NOT IN ('pending', 'sent')`;
      await sql`
        DELETE FROM platform.event_inbox WHERE processed_at < now() - ${config.EVENT_RETENTION_DAYS}::int * interval '1 day'`;
    },

    /** Begins to read and deliver once there is a subscription, here or made by another instance. */
    async start(): Promise<StartedModule> {
      const started = createDeliveryWorker(runtime);
      worker = started;
      const fanOut = createFanOut(runtime, wake);
      const unsubscribe = bus.subscribe('platform', (messages) => {
        if (!messages.some(({ type }) => type.startsWith('event.subscription.'))) return;
        void fanOut.begin();
        wake();
      });
      const [known] = await sql`SELECT 1 AS one FROM platform.event_subscription LIMIT 1`;
      if (known) void fanOut.begin();
      wake();
      return {
        async close() {
          unsubscribe();
          await fanOut.close();
          await started.close();
        },
      };
    },
  };
}
