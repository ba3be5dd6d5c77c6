import { randomUUID } from 'node:crypto';
import { type Bus, createLocalBus } from '#shared/bus.ts';
import type { EventRow } from '#shared/events.ts';
import { createRedisBus } from '#shared/redisBus.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createZipf } from '../load/sampler.ts';
import type { CreateWorkload, Verdict } from '../load/workload.ts';

export interface BusParams {
  readonly streams: number;
  readonly listeners: number;
  /** With it events are heard by the bus of another instance, through Redis. */
  readonly redisUrl?: string;
}

const deliveryTimeoutMs = 5_000;
const text = 'x'.repeat(700);

function fail(error: unknown): never {
  throw error;
}

async function openBuses(redisUrl: string | undefined): Promise<{ sender: Bus; receiver: Bus }> {
  if (redisUrl === undefined) {
    const bus = createLocalBus(fail);
    return { sender: bus, receiver: bus };
  }
  const options = { url: redisUrl, logger: createLogger('silent'), onListenerError: fail };
  return { sender: await createRedisBus(options), receiver: await createRedisBus(options) };
}

/** Events of 1 KiB through the bus to listeners, as the publisher hands them over after a commit. */
export const createWorkload: CreateWorkload<BusParams> = async ({ streams, listeners, redisUrl }) => {
  const { sender, receiver } = await openBuses(redisUrl);
  const zipf = createZipf(streams);
  const streamIds = Array.from({ length: streams }, () => randomUUID());
  const sequences = new Uint32Array(streams);
  const waiting = new Map<string, { left: number; sequence: number; resolve: (verdict: Verdict) => void }>();
  let heard = 0;

  for (let listener = 0; listener < listeners; listener += 1) {
    receiver.subscribe('context', (messages) => {
      for (const message of messages) {
        heard += 1;
        const entry = 'eventId' in message ? waiting.get(message.eventId) : undefined;
        if (!entry || !('sequence' in message)) continue;
        entry.left -= 1;
        if (entry.left === 0)
          entry.resolve(
            message.sequence === entry.sequence || `expected sequence ${entry.sequence}, got ${message.sequence}`,
          );
      }
    });
  }

  function nextEvent(stream: number): EventRow {
    const sequence = (sequences[stream] ?? 0) + 1;
    sequences[stream] = sequence;
    return {
      tenantId: 'perf',
      module: 'context',
      streamId: streamIds[stream]!,
      sequence,
      eventId: randomUUID(),
      type: 'context.updated',
      actor: 'perf-agent',
      data: { contextId: streamIds[stream]!, text },
      tags: [`Context:${streamIds[stream]}`],
      createdAt: new Date().toISOString(),
    };
  }

  // A subscription over Redis takes a moment; nothing may be measured before it stands.
  if (redisUrl !== undefined) {
    const giveUpMs = performance.now() + deliveryTimeoutMs;
    while (heard === 0) {
      if (performance.now() > giveUpMs) throw new Error('the bus over Redis delivered nothing');
      sender.publish([nextEvent(0)]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  return {
    operations: [
      {
        name: 'event_publish',
        weight: 50,
        call(random) {
          sender.publish([nextEvent(zipf.sample(random))]);
          return true;
        },
      },
      {
        name: 'event_delivery',
        weight: 50,
        call(random) {
          const event = nextEvent(zipf.sample(random));
          return new Promise<Verdict>((resolve) => {
            const timer = setTimeout(
              () => resolve(`event ${event.sequence} did not come in ${deliveryTimeoutMs} ms`),
              deliveryTimeoutMs,
            );
            waiting.set(event.eventId, {
              left: listeners,
              sequence: event.sequence,
              resolve(verdict) {
                clearTimeout(timer);
                waiting.delete(event.eventId);
                resolve(verdict);
              },
            });
            sender.publish([event]);
          });
        },
      },
    ],
    facts: () => ({ heard }),
    async close() {
      await sender.close();
      if (receiver !== sender) await receiver.close();
    },
  };
};
