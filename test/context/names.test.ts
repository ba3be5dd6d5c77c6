import { afterAll, beforeAll, expect, test } from 'vitest';
import { appendChange } from '#shared/outbox.ts';
import { contextCodec } from '../../subgraphs/context/codec.ts';
import { createNameLookup } from '../../subgraphs/context/names.ts';
import { admin, alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig({ CONTEXT_UNIQUE_NAMES: 'true', QUOTA_CONTEXTS_PER_USER: '5000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const root = { domain: 'names', environment: 'test' };
const create =
  'mutation ($input: CreateContextInput!) { answer: createContext(input: $input) { context { id title } userErrors { code path message } } }';
const bulk =
  'mutation ($inputs: [CreateContextInput!]!, $mode: ContextBulkMode!) { answer: createContexts(inputs: $inputs, mode: $mode) { created failed results { context { title } error { code path } } userErrors { code path } } }';
const rename =
  'mutation ($id: ID!, $title: String!) { answer: updateContext(contextId: $id, patch: { title: $title }) { context { title version } userErrors { code path } } }';
const remove = 'mutation ($id: ID!) { answer: deleteContext(contextId: $id) { deleted userErrors { code } } }';
const restore =
  'mutation ($id: ID!) { answer: restoreContext(contextId: $id) { context { id } userErrors { code path } } }';
const byName =
  'query ($name: String!, $owner: String) { answer: contextByName(name: $name, ownerId: $owner) { id title ownerId } }';

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;
const named = (title: string) => ({ title, root });
const heldBy = async (title: string) =>
  (await rig.sql`SELECT id FROM context.context WHERE title = ${title} AND deleted_at IS NULL`).map(
    (row) => row['id'] as string,
  );

test('an owner has a name once, another owner has it too; the search by name is exact', async () => {
  const id = await rig.createContext(alice, named('plan A'));
  expect(await ask(alice, create, { input: named('plan A') })).toEqual({
    context: null,
    userErrors: [
      { code: 'DUPLICATE_NAME', path: ['input', 'title'], message: 'the owner has another context named "plan A"' },
    ],
  });
  const other = await rig.createContext(bob, named('plan A'));
  const foreign = principal('alice', { tenantId: 'elsewhere' });
  await rig.createContext(foreign, named('plan A'));
  await rig.createContext(alice, named('Plan A'));
  expect(await heldBy('plan A')).toHaveLength(3);
  expect(await ask(alice, byName, { name: 'plan A' })).toEqual({ id, title: 'plan A', ownerId: 'alice' });
  expect(await ask(bob, byName, { name: 'plan A' })).toEqual({ id: other, title: 'plan A', ownerId: 'bob' });
  expect(await ask(admin, byName, { name: 'plan A', owner: 'bob' })).toMatchObject({ id: other });
  // Not some context that bears the name, but the one asked for, or none.
  expect(await ask(admin, byName, { name: 'plan A' })).toBeNull();
  expect(await ask(alice, byName, { name: 'plan' })).toBeNull();
  rig.statements.length = 0;
  await ask(alice, byName, { name: 'plan A' });
  expect(rig.statements).toHaveLength(1);
});

test('by name nobody sees what is hidden from it', async () => {
  await rig.createContext(alice, { ...named('secret'), accessControl: { visibility: 'PRIVATE' } });
  expect(await ask(bob, byName, { name: 'secret', owner: 'alice' })).toBeNull();
  expect(await ask(alice, byName, { name: 'secret' })).toMatchObject({ title: 'secret' });
  for (const [name, owner] of [
    ['a\0', null],
    ['\ud800', null],
    ['a', 'b\0'],
    ['x'.repeat(256), null],
  ])
    expect((await rig.run(alice, byName, { name, owner })).errors).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});

test('of many at once one gets the name, also across batches and by renaming', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, (_, index) => rig.createContext(alice, named(`r${index}`))));
  const answers = await Promise.all([
    ...Array.from({ length: 30 }, () => ask(alice, create, { input: named('wanted') })),
    ...ids.map((id) => ask(alice, rename, { id, title: 'wanted' })),
    // A writer that is not the owner takes the name for the owner.
    ...ids.slice(0, 5).map((id) => ask(bob, rename, { id, title: 'wanted' })),
  ]);
  const refused = answers.flatMap((answer) => answer['userErrors'] as unknown as { code: string }[]);
  expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['DUPLICATE_NAME']));
  // Who renames what already has the name changes nothing.
  expect(await heldBy('wanted')).toHaveLength(1);
  const told = await rig.sql`SELECT count(*)::int AS n FROM context.event WHERE data->'context'->>'title' = 'wanted'`;
  expect(told).toMatchObject([{ n: 1 }]);
});

test('the database itself holds it, whoever writes', async () => {
  const id = await rig.createContext(alice, named('held'));
  const other = await rig.createContext(alice, named('free'));
  await expect(
    rig.sql`UPDATE context.context SET unique_name = 'held', title = 'held' WHERE id = ${other}`,
  ).rejects.toMatchObject({ code: '23505' });
  expect(await heldBy('held')).toEqual([id]);
});

test('names change hands, swap, and are free again after deletion', async () => {
  const [one, two] = [await rig.createContext(alice, named('one')), await rig.createContext(alice, named('two'))];
  expect(await ask(alice, rename, { id: one, title: 'two' })).toEqual({
    context: null,
    userErrors: [{ code: 'DUPLICATE_NAME', path: ['patch', 'title'] }],
  });
  // Three steps in one batch: the statement writes a swap.
  const steps = await Promise.all([
    ask(alice, rename, { id: one, title: 'between' }),
    ask(alice, rename, { id: two, title: 'one' }),
    ask(alice, rename, { id: one, title: 'two' }),
  ]);
  expect(steps.flatMap((step) => step['userErrors'] as unknown as unknown[])).toEqual([]);
  expect([await heldBy('one'), await heldBy('two'), await heldBy('between')]).toEqual([[two], [one], []]);

  await ask(alice, remove, { id: one });
  const next = await rig.createContext(alice, named('two'));
  expect(await ask(alice, byName, { name: 'two' })).toMatchObject({ id: next });
  expect(await ask(alice, restore, { id: one })).toEqual({
    context: null,
    userErrors: [{ code: 'DUPLICATE_NAME', path: ['contextId'] }],
  });
  await ask(alice, rename, { id: next, title: 'three' });
  expect(await ask(alice, restore, { id: one })).toEqual({ context: { id: one }, userErrors: [] });
  expect((await ask(alice, create, { input: named('two') }))['userErrors']).toMatchObject([{ code: 'DUPLICATE_NAME' }]);
});

test('in bulk: PARTIAL keeps the first of a name, ATOMIC none', async () => {
  await rig.createContext(alice, named('taken'));
  const inputs = ['b1', 'taken', 'b2', 'b1'].map(named);
  expect(await ask(alice, bulk, { inputs, mode: 'ATOMIC' })).toMatchObject({
    results: null,
    userErrors: [{ code: 'DUPLICATE_NAME', path: ['inputs', '1', 'title'] }],
  });
  expect(await heldBy('b1')).toEqual([]);
  expect(await ask(alice, bulk, { inputs, mode: 'PARTIAL' })).toMatchObject({
    created: 2,
    failed: 2,
    results: [
      { context: { title: 'b1' } },
      { error: { code: 'DUPLICATE_NAME', path: ['inputs', '1', 'title'] } },
      { context: { title: 'b2' } },
      { error: { code: 'DUPLICATE_NAME', path: ['inputs', '3', 'title'] } },
    ],
  });
  const many = Array.from({ length: 5 }, (_, index) => named(`m${index}`));
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => ask(alice, bulk, { inputs: many, mode: 'ATOMIC' })),
  );
  expect(answers.filter((answer) => answer['created'] === 5)).toHaveLength(1);
  expect(await heldBy('m0')).toHaveLength(1);
});

function document(title: string, id: string) {
  return {
    meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
    context_id: id,
    root,
    title,
    status: 'active',
  };
}

test('an import takes a name and is refused one that is taken', async () => {
  const write = (title: string, id: string) =>
    rig.sql.begin(async (tx) => {
      const changes = await contextCodec.write(tx, alice, [document(title, id)], rig.runtime.config);
      return appendChange(tx, 'context', changes);
    });
  const id = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';
  await write('imported', id);
  expect((await ask(alice, create, { input: named('imported') }))['userErrors']).toMatchObject([
    { code: 'DUPLICATE_NAME' },
  ]);
  await expect(write('imported', '7f9619ff-8b86-4011-b42d-00cf4fc964ff')).rejects.toMatchObject({
    code: 'DUPLICATE_NAME',
  });
  // An import that has not committed yet: whoever creates meanwhile waits for it and is refused then.
  let commit = () => {};
  const held = new Promise<void>((resolve) => {
    commit = resolve;
  });
  let written = () => {};
  const started = new Promise<void>((resolve) => {
    written = resolve;
  });
  const open = rig.sql.begin(async (tx) => {
    await tx`INSERT INTO context.context SELECT (jsonb_populate_record(c, jsonb_build_object('id', '8f9619ff-8b86-4011-b42d-00cf4fc964ff', 'title', 'raced', 'unique_name', 'raced', 'ordinal', 900000))).* FROM context.context c WHERE id = ${id}`;
    written();
    await held;
  });
  await started;
  const racing = ask(alice, create, { input: named('raced') });
  const bystander = ask(alice, create, { input: named('bystander') });
  await expect
    .poll(async () => (await rig.sql`SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted`)[0]!['n'])
    .toBeGreaterThan(0);
  commit();
  await open;
  expect((await racing)['userErrors']).toMatchObject([{ code: 'DUPLICATE_NAME' }]);
  expect((await bystander)['userErrors']).toEqual([]);
});

test('contexts from before are adopted, the oldest of a title first; without the switch titles repeat', async () => {
  await using loose = await openContextRig();
  const ids = [];
  for (let index = 0; index < 3; index += 1) ids.push(await loose.createContext(alice, named('twice')));
  await loose.sql`UPDATE context.context SET created_at = now() - interval '1 hour' WHERE id = ${ids[1]!}`;
  const other = await loose.createContext(bob, named('twice'));
  const find = async (owner: string | null) =>
    (await loose.ask(alice, byName, { name: 'twice', owner }))['answer']!['id'];
  expect([await find(null), await find('alice'), await find('bob')]).toEqual([ids[1], ids[1], other]);
  const strict = createNameLookup({
    ...loose.runtime,
    config: { ...loose.runtime.config, CONTEXT_UNIQUE_NAMES: true },
  });
  expect(await strict.adopt()).toBe(2);
  expect(await strict.adopt()).toBe(2);
  expect(await loose.sql`SELECT id FROM context.context WHERE unique_name = 'twice' ORDER BY owner_id`).toMatchObject([
    { id: ids[1] },
    { id: other },
  ]);
  // Off again: what is renamed lets its name go.
  await loose.ask(alice, rename, { id: ids[1], title: 'else' });
  expect(await strict.adopt()).toBe(1);
  expect(
    await loose.sql`SELECT id FROM context.context WHERE unique_name = 'twice' AND owner_id = 'alice'`,
  ).toMatchObject([{ id: ids[0] }]);
});
