import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { everyTick } from '#shared/sharedTicker.ts';

it('calls all that are called equally often before what any of them has begun goes on', async () => {
  const seen: string[] = [];
  const work = (name: string) => () => {
    seen.push(name);
    void Promise.resolve().then(() => seen.push(`${name} went on`));
  };
  const first = work('first');
  const ends = [everyTick(20, first), everyTick(20, work('second')), everyTick(20, first)];
  while (seen.length < 6) await sleep(1);
  for (const end of ends) end();
  expect(seen.slice(0, 6)).toEqual(['first', 'second', 'first', 'first went on', 'second went on', 'first went on']);
});

it('goes on for the others when one ends, and for nobody when all have', async () => {
  let [left, stays] = [0, 0];
  const endLeft = everyTick(5, () => {
    left += 1;
  });
  const endStays = everyTick(5, () => {
    stays += 1;
  });
  while (left === 0) await sleep(1);
  endLeft();
  endLeft();
  const [leftBefore, staysBefore] = [left, stays];
  while (stays < staysBefore + 3) await sleep(1);
  expect(left).toBe(leftBefore);
  endStays();
  const atEnd = stays;
  await sleep(30);
  expect(stays).toBe(atEnd);
});
