import { GraphQLError } from 'graphql';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { PlatformError } from '#shared/errors.ts';
import { createErrorFormatter } from '../../gateway/errors.ts';
import { createErrorFormatter as createSubscriptionFormatter } from '../../gateway/subscriptions/errors.ts';

const wrapped = (original: Error, times: number): GraphQLError => {
  let error = new GraphQLError(original.message, { originalError: original, path: ['field'] });
  for (let at = 1; at < times; at += 1)
    error = new GraphQLError(error.message, { originalError: error, path: ['field'] });
  return error;
};
const lost = Object.assign(new Error('read ECONNRESET 10.1.2.3:5432'), { code: 'ECONNRESET' });
const late = Object.assign(new Error('canceling statement'), { code: '57014' });
const logged: string[] = [];
const logger = pino({}, { write: (line: string) => void logged.push(line) });
const [format, formatOfStream] = [createErrorFormatter(logger), createSubscriptionFormatter(logger)];

it.each([
  [lost, 'UNAVAILABLE'],
  [late, 'DEADLINE_EXCEEDED'],
  [new PlatformError('NOT_FOUND', 'no such context'), 'NOT_FOUND'],
])('%s is told by what it is, through however many executors it came', (error, code) => {
  logged.length = 0;
  for (const times of [1, 2, 3]) {
    const thrown = wrapped(error, times);
    for (const formatted of [format(thrown.toJSON(), thrown), formatOfStream(thrown)]) {
      expect(formatted.extensions?.['code']).toBe(code);
      expect(formatted.path).toEqual(['field']);
      expect(formatted.message).not.toContain('10.1.2.3');
    }
  }
  expect(logged).toEqual([]);
});

it('what nothing explains is masked behind a reference that the log has', () => {
  logged.length = 0;
  const thrown = wrapped(new Error('the secret is hush'), 2);
  for (const formatted of [format(thrown.toJSON(), thrown), formatOfStream(thrown)]) {
    expect(formatted.extensions?.['code']).toBe('INTERNAL_ERROR');
    expect(JSON.stringify(formatted)).not.toContain('hush');
    expect(logged.join()).toContain(String(formatted.extensions?.['reference']));
  }
});
