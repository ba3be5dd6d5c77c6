import { describe, expect, it } from 'vitest';
import { describeDatabaseFailure } from '#shared/databaseFailure.ts';

const failure = (code: string) => Object.assign(new Error('something of the driver'), { code });

describe('a failure of PostgreSQL', () => {
  it.each(['57014'])('%s is an operation out of time', (code) => {
    expect(describeDatabaseFailure(failure(code))).toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
  });

  it.each([
    '40001',
    '40P01',
    '53300',
    '57P01',
    '57P03',
    '08006',
    'ECONNREFUSED',
    'CONNECTION_CLOSED',
    'CONNECTION_ENDED',
    'CONNECT_TIMEOUT',
  ])('%s may be tried again', (code) => {
    const described = describeDatabaseFailure(failure(code));
    expect(described).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(described?.message).not.toContain('driver');
  });

  it.each([failure('42601'), failure('23505'), new Error('CONNECT'), 'ECONNREFUSED', null])(
    'that is a fault of ours stays one (%s)',
    (error) => {
      expect(describeDatabaseFailure(error)).toBeNull();
    },
  );
});
