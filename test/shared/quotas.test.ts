import { expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';

test('quotas go by the environment where nothing is configured', () => {
  const of = (environment: Record<string, string>) => {
    const { QUOTA_CONTEXTS_PER_USER, QUOTA_CONTEXTS_PER_TENANT, QUOTA_DIALOG_PARTICIPANTS } = readConfig(environment);
    return [QUOTA_CONTEXTS_PER_USER, QUOTA_CONTEXTS_PER_TENANT, QUOTA_DIALOG_PARTICIPANTS];
  };
  expect(of({})).toEqual([1_000, 10_000, 100]);
  expect(of({ NODE_ENV: 'development' })).toEqual([1_000, 10_000, 100]);
  expect(of({ NODE_ENV: 'production' })).toEqual([500, 100_000, 100]);
  expect(of({ NODE_ENV: 'production', QUOTA_CONTEXTS_PER_USER: '7', QUOTA_DIALOG_PARTICIPANTS: '' })).toEqual([
    7, 100_000, 100,
  ]);
});
