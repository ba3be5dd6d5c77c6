import { expect, test } from 'vitest';
import { backedOff } from '#shared/backoff.ts';

test('a pause doubles with each failure in a row, to five seconds; one that is longer stays as it is', () => {
  expect([0, 1, 2, 3, 6, 7, 1_000].map((failures) => backedOff(100, failures))).toEqual([
    100, 200, 400, 800, 5_000, 5_000, 5_000,
  ]);
  expect([0, 1, 9].map((failures) => backedOff(60_000, failures))).toEqual([60_000, 60_000, 60_000]);
});
