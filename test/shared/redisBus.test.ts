import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { Bus, BusMessage } from '#shared/bus.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import { createRedisBus } from '#shared/redisBus.ts';
import { createLogger } from '#shared/telemetry.ts';

const buses: Bus[] = [];
const heard: BusMessage[][] = [[], []];
const batches: number[] = [0, 0];
const tenantId = randomUUID();

function fail(error: unknown): never {
  throw error;
}

beforeAll(async () => {
  const options = { url: inject('redisUrl'), logger: createLogger('silent'), onListenerError: fail };
  for (const index of [0, 1]) {
    const bus = await createRedisBus(options);
    bus.subscribe('*', (messages) => {
      // Other files use the same Redis.
      const own = messages.filter((message) => message.tenantId === tenantId);
      heard[index]!.push(...own);
      if (own.length > 0) batches[index]! += 1;
    });
    buses.push(bus);
  }
});
afterAll(() => Promise.all(buses.map((bus) => bus.close())));

function eventOf(module: EventRow['module'], sequence: number): EventRow {
  return {
    tenantId,
    module,
    streamId: randomUUID(),
    sequence,
    eventId: randomUUID(),
    type: `${module}.tested`,
    actor: 'Zoë "quoted" \u2028 \u{1f600}',
    data: { row: { text: `line\nä\u0000${sequence}`, list: [1, null, { deep: true }] } },
    tags: [`Tested:${sequence}`],
    createdAt: new Date(0).toISOString(),
  };
}

it('tells other instances what was published, in order and unchanged, and the own listeners once', async () => {
  await expect.poll(() => buses.every((bus) => bus.connected)).toBe(true);
  const dialog = Array.from({ length: 250 }, (_, index) => eventOf('dialog', index + 1));
  const mixed = [eventOf('context', 1), eventOf('plan', 1), eventOf('context', 2)];
  const { sequence: _sequence, eventId: _eventId, tags: _tags, ...passing } = eventOf('dialog', 0);
  const ephemeral: EphemeralEvent = passing;
  buses[0]!.publish(dialog.slice(0, 120));
  buses[0]!.publish([]);
  buses[0]!.publish(mixed);
  buses[0]!.publish([...dialog.slice(120), ephemeral]);
  const all = dialog.length + mixed.length + 1;
  expect(heard[0]).toHaveLength(all);
  await expect.poll(() => heard[1]!.length).toBe(all);
  for (const messages of heard) {
    expect(messages.filter(({ module }) => module === 'dialog')).toEqual([...dialog, ephemeral]);
    expect(messages.filter(({ module }) => module === 'context')).toEqual([mixed[0], mixed[2]]);
    expect(messages.filter(({ module }) => module === 'plan')).toEqual([mixed[1]]);
  }
  // Redis tells the sender too: by the time the answer of the other one is here, its own echo has been heard and left alone.
  buses[1]!.publish([eventOf('dialog', 1)]);
  await expect.poll(() => heard[0]!.length).toBe(all + 1);
  expect(heard[1]).toHaveLength(all + 1);
  // Messages of one module went together: four lots of 100 at most, and one of each other module.
  expect(batches[1]).toBeLessThanOrEqual(4 + 2);
});
