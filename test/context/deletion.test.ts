import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { GraphResult } from '#shared/graph.ts';
import { alice, bob, type ContextRig, type Json, openContextRig } from './rig.ts';

type Told = GraphResult<{ context: { taskFigures: { runningExecutions: number } | null } | null }>;

const running = (count: number): Told => ({
  data: { context: { taskFigures: { runningExecutions: count } } },
  errors: [],
});
const failed = (code: string): Told => ({
  data: { context: null },
  errors: [{ message: 'no', path: ['context', 'taskFigures'], code }],
});

let rig: ContextRig;
/** What the plan module says, and how often it was asked. */
let tell: () => Told;
let asked = 0;
beforeAll(async () => {
  rig = await openContextRig({}, undefined, {
    async execute() {
      asked++;
      return tell() as never;
    },
  });
});
afterAll(() => rig[Symbol.asyncDispose]());
beforeEach(() => {
  asked = 0;
  tell = () => running(0);
});

const text =
  'mutation ($id: ID!, $force: Boolean!) { deleteContext(contextId: $id, force: $force) { deleted userErrors { code path } } }';
const remove = (id: string, force = false, who = alice) => rig.run(who, text, { id, force });
const done = { deleteContext: { deleted: true, userErrors: [] } };
const stored = async (id: string) =>
  (
    await rig.sql`SELECT to_jsonb(c) AS context, (SELECT count(*)::int FROM context.event e WHERE e.stream_id = c.id) AS events FROM context.context c WHERE id = ${id}`
  )[0];

const silent: readonly (readonly [string, () => Told])[] = [
  ['is away', () => failed('UNAVAILABLE')],
  ['fails', () => failed('INTERNAL_ERROR')],
  [
    'cannot be reached',
    () => {
      throw new Error('the graph is not connected yet');
    },
  ],
  ['answers nothing', () => ({ data: null, errors: [] })],
];

test.each(silent)('while the plan module %s nothing is deleted unless it is forced', async (_how, answer) => {
  const id = await rig.createContext(alice);
  const before = await stored(id);
  tell = answer;
  const refused = await remove(id);
  expect(refused.errors).toMatchObject([{ code: 'UNAVAILABLE' }]);
  expect(await stored(id)).toEqual(before);
  expect(asked).toBe(1);
  expect((await remove(id, true)).data).toEqual(done);
  expect(asked).toBe(1);
  // What is deleted is so whatever runs.
  expect((await remove(id)).data).toEqual(done);
});

test('who may not delete, or what is not there, is told that first', async () => {
  tell = () => failed('UNAVAILABLE');
  const id = await rig.createContext(alice);
  expect((await remove(id, false, bob)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  expect((await remove('8f9619ff-8b86-4011-b42d-00cf4fc964ff')).data['deleteContext']!['userErrors']).toMatchObject([
    { code: 'NOT_FOUND' },
  ]);
});

test('plans in a module that the tenant closed to itself hold nothing up', async () => {
  tell = () => failed('MODULE_DISABLED');
  expect((await remove(await rig.createContext(alice))).data).toEqual(done);
});

test('what was told before a long wait for the context is asked anew', async () => {
  const id = await rig.createContext(alice);
  const before = await stored(id);
  const wait = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holder = rig.sql.begin(async (tx) => {
    await tx`SELECT 1 FROM context.context WHERE id = ${id} FOR UPDATE`;
    locked.resolve();
    await wait.promise;
  });
  await locked.promise;
  const removing = remove(id);
  await expect.poll(() => asked).toBe(1);
  // A plan begins while the deletion waits for the lock.
  tell = () => running(1);
  await new Promise((resolve) => setTimeout(resolve, 400));
  wait.resolve();
  await holder;
  expect((await removing).data).toEqual({
    deleteContext: { deleted: null, userErrors: [{ code: 'INVALID_STATE', path: ['force'] }] },
  });
  expect(asked).toBe(2);
  expect(await stored(id)).toEqual(before);
  tell = () => running(0);
  expect((await remove(id)).data as Json).toEqual(done);
});
