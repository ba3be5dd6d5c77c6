import { expect, test } from 'vitest';
import { type FanOutKind, fanOutKinds, measureFanOut } from '../../perf/peers/fanOut/measureFanOut.ts';

const load = { sockets: 8, burst: 5, everyMs: 10, bursts: 8, rounds: 2 };

test('every server gives every socket every message to the byte, in turn and back', async () => {
  const lines: string[] = [];
  const windows = await measureFanOut(fanOutKinds, load, (line) => lines.push(line));
  const names = fanOutKinds.map(({ name }) => name);
  expect(windows.map(({ kind }) => kind)).toEqual([...names, ...names.toReversed()]);
  expect(lines).toHaveLength(8);
});

test.each([
  ['loses a message', 'losing', 'expected {"id":"1"'],
  ['writes other bytes to one socket', 'differing', 'different bytes of message'],
])('a server that %s ends the comparison', async (_how, name, message) => {
  const faulty: FanOutKind = {
    ...{ name, title: name },
    module: new URL(`./fixtures/${name}FanOut.ts`, import.meta.url),
  };
  await expect(measureFanOut([faulty], load, () => {})).rejects.toThrow(message);
});
