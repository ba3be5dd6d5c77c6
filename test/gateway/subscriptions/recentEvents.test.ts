import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { createRecentEvents } from '../../../gateway/subscriptions/recentEvents.ts';

const mebibyte = 1024 * 1024;

function eventOf(streamId: string, sequence: number, text = 'x'): EventRow {
  return {
    tenantId: 'demo',
    module: 'dialog',
    streamId,
    sequence,
    eventId: randomUUID(),
    type: 'dialog.message.sent',
    actor: 'ada',
    data: { message: { text } },
    tags: [`Message:${streamId}`],
    createdAt: new Date(sequence).toISOString(),
  };
}

it('gives the newest events of each stream, unchanged, or says that it does not reach back', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('é', '\u{1f600}', '\ud800').map((unit) => unit.repeat(30_000)),
    fc.constant('y'.repeat(400_000)),
    fc.constant('\u4e2d'.repeat(400_000)),
  );
  let found = 0;
  let lost = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 2 }), text), { maxLength: 40 }),
      fc.constantFrom(1, 2, 3),
      (steps, mebibytes) => {
        const recent = createRecentEvents({ maxBytes: mebibytes * mebibyte, maxEvents: 5 });
        const streams = [0, 1, 2].map(() => ({ id: randomUUID(), kept: recent.ofStream(), events: [] as EventRow[] }));
        for (const [at, said] of steps) {
          const { id, kept, events } = streams[at]!;
          const event = eventOf(id, events.length + 7, said);
          events.push(event);
          kept.add(event);
        }
        for (const { kept, events } of streams) {
          for (let back = 0; back <= 6; back++) {
            const after = kept.after(6 + events.length - back);
            if (after === undefined) lost++;
            else {
              found++;
              expect(after).toEqual(back === 0 ? [] : events.slice(-back));
            }
          }
        }
      },
    ),
    { numRuns: 60 },
  );
  expect(found).toBeGreaterThan(100);
  expect(lost).toBeGreaterThan(50);
});

it('keeps as many events of a stream as it may, and forgets the oldest of all streams first', () => {
  const recent = createRecentEvents({ maxBytes: 2 * mebibyte, maxEvents: 3 });
  const [quiet, busy] = [recent.ofStream(), recent.ofStream()];
  for (let sequence = 1; sequence <= 5; sequence++) quiet.add(eventOf('quiet', sequence));
  expect(quiet.after(1)).toBeUndefined();
  expect(quiet.after(2)!.map(({ sequence }) => sequence)).toEqual([3, 4, 5]);
  expect(quiet.after(5)).toEqual([]);
  for (let sequence = 1; sequence <= 5; sequence++) busy.add(eventOf('busy', sequence, 'z'.repeat(600_000)));
  expect(quiet.after(4)).toBeUndefined();
  expect(busy.after(4)).toHaveLength(1);
  quiet.add(eventOf('quiet', 6));
  expect(quiet.after(5)).toHaveLength(1);
});

it('begins anew after an event that is too large to keep, or was not seen', () => {
  const kept = createRecentEvents({ maxBytes: 4 * mebibyte, maxEvents: 10 }).ofStream();
  kept.add(eventOf('a', 1));
  kept.add(eventOf('a', 2, 'w'.repeat(2 * mebibyte)));
  expect(kept.after(0)).toBeUndefined();
  expect(kept.after(1)).toBeUndefined();
  kept.add(eventOf('a', 3));
  expect(kept.after(1)).toBeUndefined();
  expect(kept.after(2)).toHaveLength(1);
  kept.add(eventOf('a', 9));
  expect(kept.after(3)).toBeUndefined();
  expect(kept.after(8)).toHaveLength(1);
  expect(createRecentEvents({ maxBytes: mebibyte, maxEvents: 0 }).ofStream().after(0)).toBeUndefined();
});
