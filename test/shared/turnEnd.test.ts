import { expect, test } from 'vitest';
import { turnEnd } from '#shared/turnEnd.ts';

/** Keeps the turn of the event loop for so long. */
function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test('all who wait in a turn go on together, in their order, when its callbacks have run', async () => {
  const seen: string[] = [];
  const first = turnEnd().then(() => seen.push('first'));
  const second = turnEnd().then(() => seen.push('second'));
  process.nextTick(() => seen.push('a tick'));
  await Promise.resolve();
  await Promise.resolve();
  seen.push('what was to be done in the turn');
  await Promise.all([first, second]);
  expect(seen).toEqual(['what was to be done in the turn', 'a tick', 'first', 'second']);
});

test('in a long turn nobody waits for its end', async () => {
  const seen: string[] = [];
  const first = turnEnd().then(() => seen.push('first'));
  setImmediate(() => seen.push('end of the turn'));
  spin(3);
  const second = turnEnd().then(() => seen.push('second'));
  await Promise.all([first, second]);
  expect(seen).toEqual(['first', 'second']);
  // The next one waits for an end of its own.
  const third = turnEnd().then(() => seen.push('third'));
  await new Promise((resolve) => setImmediate(resolve));
  await third;
  expect(seen).toEqual(['first', 'second', 'end of the turn', 'third']);
});
