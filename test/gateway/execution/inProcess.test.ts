import { expect, test } from 'vitest';
import type { FetchReport } from '../../../gateway/execution/fetchHooks.ts';
import { createInProcessDataSource } from '../../../gateway/execution/inProcess.ts';
import { createFixture } from './fixtures/index.ts';
import { healthCheckOptions, processOptions } from './processOptions.ts';

const schema = createFixture().schemas.get('accounts')!;

function open(options: { maxDocuments?: number; onFetch?: (report: FetchReport) => void } = {}) {
  const asked: unknown[] = [];
  const source = createInProcessDataSource({
    name: 'accounts',
    schema,
    contextFor: (context: { user: string }) => {
      asked.push(context.user);
      return { caller: context.user, log: [] };
    },
    ...options,
  });
  return { source, asked };
}

test('the subgraph sees the context made for it from the request', async () => {
  const { source, asked } = open();
  const response = await source.process(processOptions({ query: '{ echo(text: "hello") }', context: { user: 'ada' } }));
  expect(response.data?.['echo']).toBe('ada: {"text":"hello"}');
  expect(asked).toEqual(['ada']);
});

test('a health check needs no context of a request', async () => {
  const { source, asked } = open();
  expect(await source.process(healthCheckOptions('{ __typename }'))).toEqual({ data: { __typename: 'Query' } });
  expect(asked).toEqual([]);
});

test('each answer is made of fresh objects', async () => {
  const { source } = open();
  const ask = () =>
    source.process(processOptions({ query: '{ user(id: "2") { id friends { id } } }', context: { user: 'ada' } }));
  const first = await ask();
  const text = JSON.stringify(first);
  const user = first.data?.['user'] as { merged?: boolean; friends: { id: string }[] };
  user.merged = true;
  user.friends[0]!.id = 'merged';
  user.friends.push({ id: 'merged' });
  expect(JSON.stringify(await ask())).toBe(text);
});

test('no more documents are kept than allowed, and a forgotten one is answered again', async () => {
  const { source } = open({ maxDocuments: 3 });
  for (let round = 0; round < 2; round += 1) {
    for (let index = 0; index < 8; index += 1)
      expect((await source.process(processOptions({ query: `{ me { a${index}: id } }` }))).data).toEqual({
        me: { [`a${index}`]: '1' },
      });
  }
  expect(source.documentCount).toBe(3);
});

test('each fetch is reported with its errors', async () => {
  const reports: FetchReport[] = [];
  const { source } = open({ onFetch: (report) => reports.push(report) });
  await source.process(processOptions({ query: '{ me { id } }' }));
  await source.process(processOptions({ query: '{ me { nothing } other }' }));
  expect(reports).toMatchObject([
    { subgraph: 'accounts', kind: 'incoming operation', errors: 0 },
    { subgraph: 'accounts', kind: 'incoming operation', errors: 2 },
  ]);
  expect(reports.every(({ durationMs }) => durationMs > 0 && durationMs < 1_000)).toBe(true);
});

test.each([
  ['a document that does not parse', '{ me {', 'Syntax Error: Expected Name, found <EOF>.'],
  ['a field that does not exist', '{ nothing }', 'Cannot query field "nothing" on type "Query".'],
  [
    'several operations without a name',
    'query A { __typename } query B { __typename }',
    'Must provide operation name if query contains multiple operations.',
  ],
  ['no document', '', 'Must provide document.'],
])('%s is refused', async (_name, query, message) => {
  const { source } = open();
  for (let round = 0; round < 2; round += 1) {
    const response = await source.process(processOptions({ query }));
    expect(response.data).toBeUndefined();
    expect(response.errors?.map((error) => error.message)).toEqual([message]);
  }
});

test('an operation is chosen by name, each its own', async () => {
  const { source } = open();
  const query = 'query A { me { id } } query B { me { name } }';
  expect((await source.process(processOptions({ query, operationName: 'A' }))).data).toEqual({ me: { id: '1' } });
  expect((await source.process(processOptions({ query, operationName: 'B' }))).data).toEqual({
    me: { name: 'user 1' },
  });
  expect((await source.process(processOptions({ query, operationName: 'C' }))).errors?.[0]?.message).toBe(
    'Unknown operation named "C".',
  );
});
