import { describe, expect, it } from 'vitest';
import { isolateFailures } from '../../subgraphs/dialog/isolate.ts';

describe('a batch the database refuses', () => {
  it('fails only for the item whose data it was', async () => {
    const runs: number[] = [];
    const run = async (items: readonly number[]) => {
      runs.push(items.length);
      if (items.includes(13)) throw Object.assign(new Error('bad data'), { code: '22008' });
      return items.map((item) => item * 2);
    };
    const results = await isolateFailures([1, 13, 3], run);
    expect(results).toEqual([2, expect.objectContaining({ message: 'bad data' }), 6]);
    expect(runs).toEqual([3, 1, 1, 1]);
    await expect(isolateFailures([1, 2], () => Promise.reject(new Error('server is gone')))).rejects.toThrow('gone');
  });
});
