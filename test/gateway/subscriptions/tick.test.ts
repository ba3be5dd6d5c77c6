import { expect, test } from 'vitest';
import { createTickFlusher } from '../../../gateway/subscriptions/tick.ts';

test('what throws while a turn is delivered or flushed is reported, and the rest goes out', () => {
  const errors: unknown[] = [];
  const done: string[] = [];
  const flusher = createTickFlusher((error) => errors.push(error));
  const [one, two] = [new Error('of a group'), new Error('of a socket')];
  flusher.deliver({
    deliver() {
      throw one;
    },
  });
  flusher.deliver({
    deliver(isAlone) {
      done.push(`delivered ${isAlone ? 'alone' : 'beside others'}`);
      flusher.schedule({
        flush() {
          throw two;
        },
      });
      flusher.schedule({ flush: () => void done.push('flushed') });
    },
  });
  flusher.flushAll();
  expect(errors).toEqual([one, two]);
  expect(done).toEqual(['delivered beside others', 'flushed']);
});

test('who delivers alone flushes by itself', () => {
  const flusher = createTickFlusher((error) => {
    throw error;
  });
  const flushed: string[] = [];
  flusher.deliver({
    deliver(isAlone) {
      expect(isAlone).toBe(true);
      flusher.schedule({ flush: () => void flushed.push('again') });
    },
  });
  flusher.flushAll();
  expect(flushed).toEqual([]);
});
