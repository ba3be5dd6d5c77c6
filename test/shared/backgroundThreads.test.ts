import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, test } from 'vitest';
import { yieldToEventLoop } from '#shared/backgroundThreads.ts';

test.runIf(process.platform === 'linux')('threads that collect and compile yield, the event loop does not', () => {
  const ofLoop = getPriority(process.pid);
  const found = yieldToEventLoop();
  expect(found).toBeGreaterThan(0);
  const priorities = readdirSync('/proc/self/task')
    .filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() === 'V8Worker')
    .map((id) => getPriority(Number(id)));
  expect(priorities).toEqual(Array.from({ length: found }, () => 5));
  expect(getPriority(process.pid)).toBe(ofLoop);
});
