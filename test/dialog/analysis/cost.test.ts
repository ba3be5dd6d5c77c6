import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDeterministicProvider } from '../../../subgraphs/dialog/analysis/index.ts';
import { loadDialogs, message } from './dialogs.ts';

const provider = createDeterministicProvider();
const prose =
  'The deployment was good, but I will fix the broken parser by Friday because the tests fail. Could you review @bob? ';
const maxChars = 262_144;

test('a message of 256 KiB is read in part, and says so', () => {
  expect(provider.analyzeMessage(message(prose.repeat(Math.floor(maxChars / prose.length)))).truncated).toBe(true);
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
  // What it costs stands in perf/probes/analysis.ts.
  const { sentiment } = provider.analyzeMessage(message(text));
  expect(Math.abs(sentiment.compound)).toBeLessThanOrEqual(1);
});

test('10,000 messages are summarised in slices that let the event loop run', async () => {
  const source = loadDialogs().flatMap(({ messages }) => messages);
  const messages = Array.from({ length: 10_000 }, (_, index) => {
    const { text, senderId } = source[index % source.length]!;
    return message(`${text.slice(0, 600)} Message ${index} follows.`, {
      messageId: `m${index}`,
      sequence: index,
      senderId,
    });
  });
  let turns = 0;
  let running = true;
  const watch = (async () => {
    while (running) {
      await setImmediate();
      turns += 1;
    }
  })();
  const summary = await provider.summarize(messages);
  running = false;
  await watch;
  expect(summary.sentences).toHaveLength(5);
  expect(turns).toBeGreaterThan(10);
});
