import { expect, test } from 'vitest';
import { readOwn } from '../../../gateway/execution/plan/merge.ts';

test('what every object inherits is not read for a field of that name', () => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'title']) {
    const read = readOwn(name);
    expect([name, read({})]).toEqual([name, undefined]);
    expect([name, read({ [name]: 1 })]).toEqual([name, 1]);
    expect([name, read({ [name]: null })]).toEqual([name, null]);
  }
});
