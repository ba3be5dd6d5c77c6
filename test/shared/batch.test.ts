import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createBatcher } from '#shared/batch.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it('answers every item with its own result, whatever the batches', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ value: fc.integer(), delayMs: fc.integer({ min: 0, max: 4 }), fails: fc.boolean() }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 3 }),
      async (items, maxItems, maxRuns) => {
        let running = 0;
        let most = 0;
        const sizes: number[] = [];
        const batcher = createBatcher<(typeof items)[number], number>({
          maxItems,
          maxDelayMs: 1,
          maxRuns,
          run: async (batch) => {
            running += 1;
            most = Math.max(most, running);
            sizes.push(batch.length);
            await pause(1);
            running -= 1;
            return batch.map((item) => (item.fails ? new Error(`no ${item.value}`) : item.value));
          },
        });
        const results = await Promise.all(
          items.map(async (item) => {
            await pause(item.delayMs);
            return batcher.add(item).catch((error: Error) => error.message);
          }),
        );
        expect(results).toEqual(items.map((item) => (item.fails ? `no ${item.value}` : item.value)));
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(items.length);
        expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(maxItems);
        expect(most).toBeLessThanOrEqual(maxRuns);
      },
    ),
    { numRuns: 40 },
  );
});

it('fails all items of a run that throws, and goes on', async () => {
  let calls = 0;
  const batcher = createBatcher<number, number>({
    maxItems: 10,
    maxDelayMs: 1,
    run: async (batch) => {
      calls += 1;
      if (calls === 1) throw new Error('database gone');
      return batch;
    },
  });
  const first = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
  expect(first.map((result) => result.status)).toEqual(['rejected', 'rejected']);
  expect(await batcher.add(3)).toBe(3);
});

it('drains what waits and what runs', async () => {
  const done: number[] = [];
  const batcher = createBatcher<number, number>({
    maxItems: 2,
    maxDelayMs: 1_000,
    maxRuns: 1,
    run: async (batch) => {
      await pause(2);
      done.push(...batch);
      return batch;
    },
  });
  for (const value of [1, 2, 3, 4, 5]) void batcher.add(value);
  await batcher.drain();
  expect(done).toEqual([1, 2, 3, 4, 5]);
});

it('never has one lane in two runs, keeps its order, and lets others pass', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c'), delayMs: fc.integer({ min: 0, max: 4 }) }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 3 }),
      async (given, maxItems, maxRuns) => {
        const busy = new Set<string>();
        const done: { lane: string; at: number }[] = [];
        let added = 0;
        const batcher = createBatcher<{ lane: string; at: number }, number>({
          maxItems,
          maxDelayMs: 0,
          maxRuns,
          laneOf: ({ lane }) => lane,
          run: async (batch) => {
            const lanes = new Set(batch.map(({ lane }) => lane));
            for (const lane of lanes) {
              expect(busy.has(lane)).toBe(false);
              busy.add(lane);
            }
            await pause(lanes.has('a') ? 3 : 1);
            for (const lane of lanes) busy.delete(lane);
            done.push(...batch);
            return batch.map(({ at }) => at);
          },
        });
        await Promise.all(
          given.map(async ({ lane, delayMs }) => {
            await pause(delayMs);
            const at = added++;
            expect(await batcher.add({ lane, at })).toBe(at);
          }),
        );
        await batcher.drain();
        expect(done.length).toBe(given.length);
        for (const lane of ['a', 'b', 'c']) {
          const own = done.filter((item) => item.lane === lane).map(({ at }) => at);
          expect(own).toEqual(own.toSorted((left, right) => left - right));
        }
      },
    ),
    { numRuns: 30 },
  );
});

it('runs a free lane while another is busy', async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const batcher = createBatcher<string, string>({
    maxItems: 10,
    maxDelayMs: 0,
    laneOf: (item) => item,
    run: async (batch) => {
      if (batch.includes('slow')) await gate;
      return batch;
    },
  });
  const slow = batcher.add('slow');
  await pause(2);
  const behind = batcher.add('slow');
  expect(await batcher.add('free')).toBe('free');
  expect(batcher.size).toBe(1);
  open();
  expect(await Promise.all([slow, behind])).toEqual(['slow', 'slow']);
});
