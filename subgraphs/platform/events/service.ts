import type { RequestScope } from '#shared/context.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import type { Keyring } from '../security/keyring.ts';
import { createDeliveries } from './deliveries.ts';
import { createFanOut } from './fanOut.ts';
import { createEventReading } from './log.ts';
import { findEventMetrics } from './metrics.ts';
import { createPublishing } from './publish.ts';
import { createReplay } from './replay.ts';
import { createSubscriptions } from './subscriptions.ts';
import { createDeliveryWorker, type DeliveryWorker } from './worker.ts';

/** Rows forgotten in one statement. */
const sweepRows = 5_000;

/** Events of callers, the log of all events, and their delivery to consumer groups. */
export function createEvents(runtime: ModuleRuntime, once: Once, keyring: Keyring) {
  const { sql, bus, config } = runtime;
  let worker: DeliveryWorker | null = null;
  const wake = () => worker?.wake();
  const reading = createEventReading(runtime);
  return {
    publish: createPublishing(runtime),
    page: reading.page,
    subscriptions: createSubscriptions(runtime, once, keyring),
    deliveries: createDeliveries(runtime, once, wake),
    replay: createReplay(reading, once, wake),
    metrics: (scope: RequestScope, asked: { subscriptionId: string | null; from: Date; to: Date }) =>
      findEventMetrics(sql, scope, asked),

    /** Forgets deliveries that ended, and what consumers processed, as long ago as events are kept. */
    async sweep(): Promise<void> {
      const days = config.EVENT_RETENTION_DAYS;
      for (const [table, column, condition] of [
        ['delivery', 'created_at', `status NOT IN ('pending', 'sent')`],
        ['event_inbox', 'processed_at', 'true'],
      ] as const) {
        for (;;) {
          const gone = await sql.unsafe(
            `DELETE FROM platform.${table} WHERE ctid = ANY(ARRAY(
               SELECT ctid FROM platform.${table} WHERE ${column} < now() - $1::int * interval '1 day' AND ${condition} LIMIT ${sweepRows}))`,
            [days],
          );
          if (gone.count < sweepRows) break;
        }
      }
    },

    /** Begins to read and deliver once there is a subscription, here or made by another instance. */
    async start(): Promise<StartedModule> {
      const fanOut = createFanOut(runtime, wake);
      const begin = () => {
        worker ??= createDeliveryWorker(runtime, keyring);
        void fanOut.begin();
        wake();
      };
      const unsubscribe = bus.subscribe('platform', (messages) => {
        if (messages.some(({ type }) => type.startsWith('event.subscription.'))) begin();
      });
      const [known] = await sql`SELECT 1 AS one FROM platform.event_subscription LIMIT 1`;
      if (known) begin();
      return {
        async close() {
          unsubscribe();
          await fanOut.close();
          await worker?.close();
        },
      };
    },
  };
}
