import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createProgress } from '../../perf/load/progress.ts';

function record(isTTY: boolean): { text: () => string; stream: PassThrough & { isTTY: boolean; columns: number } } {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  return { stream, text: () => String(stream.read() ?? '') };
}

test('a terminal gets a bar that stays on one line and is taken away at the end', () => {
  const { stream, text } = record(true);
  const progress = createProgress({ total: 4, label: 'demo', stream });
  progress.update(2, '120 messages');
  const bar = text();
  expect(bar).toContain('demo [###############---------------]  50 % 120 messages');
  expect(bar).not.toContain('\n');
  progress.line('a line');
  expect(text()).toContain('a line\n');
  progress.done();
  expect(text()).toBe('\r\x1b[2K');
});

test('elsewhere only the lines appear', () => {
  const { stream, text } = record(false);
  const progress = createProgress({ total: 4, label: 'demo', stream });
  progress.update(2);
  progress.line('a line');
  progress.done();
  expect(text()).toBe('a line\n');
});
