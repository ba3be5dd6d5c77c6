import { buildSchema } from 'graphql';
import { expect, test } from 'vitest';
import { createInProcessDataSource } from '../../../gateway/execution/inProcess.ts';
import { processOptions } from './processOptions.ts';

test('a subscription is refused, not executed as if it were a query', async () => {
  const schema = buildSchema('type Query { now: Int } type Subscription { ticks: Int }');
  const source = createInProcessDataSource({ name: 'clock', schema, contextFor: () => null });
  const response = await source.process(processOptions({ query: 'subscription { ticks }' }));
  expect(response.data).toBeUndefined();
  expect(response.errors).toMatchObject([
    {
      message: 'expected a query or a mutation, got a subscription for clock',
      extensions: { code: 'OPERATION_RESOLUTION_FAILURE' },
    },
  ]);
});
