import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDeterministicProvider } from '../../../subgraphs/dialog/analysis/index.ts';
import { loadDialogs, message } from './dialogs.ts';

const provider = createDeterministicProvider();
const prose =
  'The deployment was good, but I will fix the broken parser by Friday because the tests fail. Could you review @bob? ';
const maxChars = 262_144;

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

test('a message of 256 KiB takes less than 50 ms of CPU', () => {
  const long = message(prose.repeat(Math.floor(maxChars / prose.length)));
  const times = Array.from({ length: 12 }, () => cpuMs(() => provider.analyzeMessage(long))).sort(
    (left, right) => left - right,
  );
  expect(provider.analyzeMessage(long).truncated).toBe(true);
  expect(times[6]).toBeLessThan(50);
});

test.each([
  ['a'],
  ['@'],
  ['!'],
  ['`'],
  ['` '],
  [' '],
  ['\n'],
  ['<a '],
  ['a@'],
  ['a.'],
  ['1. '],
  [' #a'],
  ['http://'],
  ['漢'],
  ['a-'],
  ['I will '],
  ['in 3 days '],
  ['? '],
  ['"'],
  ['1,'],
  ['File "'],
  ['you idiot '],
  ['**'],
  ['not good '],
  ['\ud83d'],
  ["n't "],
])('256 KiB of %j are no trap', (unit) => {
  const text = unit.repeat(maxChars / unit.length);
  // Some 10 ms; a quadratic scan needs seconds.
  expect(cpuMs(() => provider.analyzeMessage(message(text)))).toBeLessThan(1_000);
});

test('10,000 messages are summarised in less than 2 s of CPU, without holding the event loop', async () => {
  const source = loadDialogs().flatMap(({ messages }) => messages);
  const messages = Array.from({ length: 10_000 }, (_, index) => {
    const { text, senderId } = source[index % source.length]!;
    return message(`${text.slice(0, 600)} Message ${index} follows.`, {
      messageId: `m${index}`,
      sequence: index,
      senderId,
    });
  });
  let longestMs = 0;
  let running = true;
  const watch = (async () => {
    let last = process.cpuUsage();
    while (running) {
      await setImmediate();
      const { user, system } = process.cpuUsage(last);
      longestMs = Math.max(longestMs, (user + system) / 1_000);
      last = process.cpuUsage();
    }
  })();
  const before = process.cpuUsage();
  const summary = await provider.summarize(messages);
  const { user, system } = process.cpuUsage(before);
  running = false;
  await watch;
  expect(summary.sentences).toHaveLength(5);
  expect((user + system) / 1_000).toBeLessThan(2_000);
  expect(longestMs).toBeLessThan(250);
});
