import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, bob, type ContextRig, type Json, openContextRig } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '3000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const create =
  'mutation ($inputs: [CreateContextInput!]!, $mode: ContextBulkMode! = PARTIAL, $key: String) { answer: createContexts(inputs: $inputs, mode: $mode, idempotencyKey: $key) { created failed results { index context { id title } error { code path } } userErrors { code path } } }';
const input = (title: string) => ({ title, root: { domain: 'bulk', environment: 'test' } });
const ask = async (variables: Record<string, unknown>, who = alice): Promise<Json> =>
  (await rig.ask(who, create, variables))['answer']!;
const total = async () => (await rig.sql`SELECT count(*)::int AS n FROM context.context`)[0]!['n'] as number;

test('PARTIAL creates what is valid and says what was not', async () => {
  const answer = await ask({
    inputs: [input('one'), input(''), input('three'), { ...input('four'), root: { domain: 'a\0', environment: 'e' } }],
  });
  expect(answer).toMatchObject({
    created: 2,
    failed: 2,
    results: [
      { index: 0, context: { title: 'one' }, error: null },
      { index: 1, context: null, error: { code: 'VALIDATION_FAILED', path: ['inputs', '1', 'title'] } },
      { index: 2, context: { title: 'three' }, error: null },
      { index: 3, context: null, error: { code: 'VALIDATION_FAILED', path: ['inputs', '3', 'root', 'domain'] } },
    ],
    userErrors: [],
  });
});

test('ATOMIC creates all or nothing', async () => {
  const before = await total();
  expect(await ask({ mode: 'ATOMIC', inputs: [input('one'), input('')] })).toEqual({
    created: null,
    failed: null,
    results: null,
    userErrors: [{ code: 'VALIDATION_FAILED', path: ['inputs', '1', 'title'] }],
  });
  expect(await total()).toBe(before);
  expect(await ask({ mode: 'ATOMIC', inputs: [input('one'), input('two')] })).toMatchObject({ created: 2, failed: 0 });
});

test('the quota counts within the batch', async () => {
  await using small = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '3' });
  const inputs = ['a', 'b', 'c', 'd', 'e'].map(input);
  const atomic = (await small.ask(alice, create, { inputs, mode: 'ATOMIC' }))['answer'];
  expect(atomic).toMatchObject({ results: null, userErrors: [{ code: 'QUOTA_EXCEEDED', path: ['inputs', '3'] }] });
  expect((await small.sql`SELECT count(*)::int AS n FROM context.context`)[0]).toMatchObject({ n: 0 });
  const partial = (await small.ask(alice, create, { inputs }))['answer'];
  expect(partial).toMatchObject({
    created: 3,
    failed: 2,
    results: [
      {},
      {},
      {},
      { error: { code: 'QUOTA_EXCEEDED', path: ['inputs', '3'] } },
      { error: { code: 'QUOTA_EXCEEDED', path: ['inputs', '4'] } },
    ],
  });
  expect((await small.sql`SELECT open_contexts FROM context.usage WHERE owner_id = 'alice'`)[0]).toMatchObject({
    open_contexts: 3,
  });
});

test.each(['ATOMIC', 'PARTIAL'])('one key for the whole, %s: the same answer, at once as later', async (mode) => {
  const before = await total();
  const inputs = mode === 'ATOMIC' ? [input('x'), input('y')] : [input('x'), input(''), input('y')];
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask({ inputs, mode, key: `bulk-${mode}` })));
  answers.push(await ask({ inputs, mode, key: `bulk-${mode}` }));
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(answers[0]).toMatchObject({ created: 2 });
  expect(await total()).toBe(before + 2);
  expect((await ask({ inputs: [input('z')], mode, key: `bulk-${mode}` }))['userErrors']).toMatchObject([
    { code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] },
  ]);
  expect((await ask({ inputs: [input('z')], mode, key: `bulk-${mode}` }, bob))['userErrors']).toEqual([]);
});

test('keys of single inputs hold within and across batches', async () => {
  const keyed = { ...input('keyed'), idempotencyKey: 'single' };
  const first = await ask({ inputs: [keyed, keyed, { ...keyed, title: 'other' }] });
  const ids = (first['results'] as unknown as { context: { id: string } | null }[]).map(({ context }) => context?.id);
  expect(ids[0]).toBe(ids[1]);
  expect(first['results']![2]).toMatchObject({ error: { code: 'IDEMPOTENCY_MISMATCH' } });
  expect((await ask({ inputs: [keyed], mode: 'ATOMIC' }))['results']![0]!['context']).toMatchObject({ id: ids[0] });
});

test('1,000 at once, 1,001 not', async () => {
  const inputs = Array.from({ length: 1_001 }, (_, index) => input(`bulk ${index}`));
  expect((await ask({ inputs }))['userErrors']).toEqual([{ code: 'VALIDATION_FAILED', path: ['inputs'] }]);
  expect((await ask({ inputs: [] }))['userErrors']).toEqual([{ code: 'VALIDATION_FAILED', path: ['inputs'] }]);
  const startedAt = performance.now();
  expect(await ask({ inputs: inputs.slice(1), mode: 'ATOMIC' })).toMatchObject({ created: 1_000, failed: 0 });
  console.log(`1,000 contexts in ${Math.round(performance.now() - startedAt)} ms`);
  const [row] =
    await rig.sql`SELECT count(DISTINCT stream_id)::int AS n FROM context.event WHERE type = 'context.created' AND data->'context'->>'title' LIKE 'bulk %'`;
  expect(row!['n']).toBe(1_000);
});
