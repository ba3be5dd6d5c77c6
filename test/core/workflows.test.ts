import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  alice,
  type CoreRig,
  createWorkflow,
  executeWorkflow,
  made,
  openCoreRig,
  ref,
  stepOf,
  stranger,
  task,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
  rig.answers.set('createContext', ({ variables }: { variables: { input: { title: string } } }) =>
    made(`made-${variables.input.title}`),
  );
});
afterAll(() => rig[Symbol.asyncDispose]());

const refused = async (definition: unknown) => {
  const { userErrors } = await rig.field(alice, createWorkflow, { input: { name: 'w', definition } });
  return userErrors![0 as never] as unknown as { code: string; message: string; path: string[] };
};

test('a definition is stored complete, with its plan; executions are pinned to their version', async () => {
  const steps = [
    task('a'),
    task('b', { dependsOn: ['a'] }),
    task('c', { dependsOn: ['a'] }),
    {
      stepId: 'd',
      kind: 'PASS',
      input: { both: [ref('b.output.context.id'), ref('c.result.context.id')] },
      dependsOn: ['b', 'c'],
    },
  ];
  const created = await rig.field(alice, createWorkflow, { input: { name: 'diamond', definition: { steps } } });
  expect(created).toMatchObject({
    userErrors: [],
    workflow: {
      name: 'diamond',
      status: 'ACTIVE',
      latestVersion: 1,
      latest: { version: 1, plan: { totalSteps: 4, parallelSteps: 2, levels: 3, criticalPath: ['a', 'b', 'd'] } },
    },
  });
  const workflowId = String(created['workflow']!['id']);
  const first = await rig.field(alice, executeWorkflow, { input: { workflowId, wait: true } });
  expect(first).toMatchObject({
    userErrors: [],
    execution: { status: 'COMPLETED', workflowVersion: 1, output: { d: { both: ['made-b', 'made-c'] } } },
  });
  const publish = `mutation ($id: ID!, $definition: CoreWorkflowDefinitionInput!, $expected: Int) { publishWorkflowVersion(workflowId: $id, definition: $definition, expectedVersion: $expected) { workflow { latestVersion version versions { version change } } userErrors { code } } }`;
  const definition = { steps: [{ stepId: 'only', kind: 'PASS', input: 'new' }] };
  expect(await rig.field(alice, publish, { id: workflowId, definition, expected: 9 })).toMatchObject({
    userErrors: [{ code: 'VERSION_CONFLICT' }],
  });
  expect(await rig.field(alice, publish, { id: workflowId, definition, expected: 1 })).toMatchObject({
    workflow: {
      latestVersion: 2,
      versions: [
        { version: 2, change: 'workflow_updated' },
        { version: 1, change: 'workflow_created' },
      ],
    },
  });
  const old = await rig.field(alice, executeWorkflow, { input: { workflowId, version: 1, wait: true } });
  const latest = await rig.field(alice, executeWorkflow, { input: { workflowId, wait: true } });
  expect([old['execution']!['output'], latest['execution']!['output']]).toEqual([
    { d: { both: ['made-b', 'made-c'] } },
    { only: 'new' },
  ]);
});

test('a cycle is refused and named', async () => {
  const error = await refused({
    steps: [task('a', { dependsOn: ['c'] }), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'] })],
  });
  expect(error).toMatchObject({ code: 'CYCLIC_DEPENDENCY' });
  expect(error.message).toMatch(/a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c/);
  expect(await refused({ steps: [task('a', { dependsOn: ['a'] })] })).toMatchObject({ code: 'CYCLIC_DEPENDENCY' });
});

test.each([
  ['a step that does not exist', [task('a', { dependsOn: ['ghost'] })], 'UNRESOLVED_REF'],
  [
    'output of a step it does not depend on',
    [task('a'), { stepId: 'b', kind: 'PASS', input: ref('a.output.context.id') }],
    'UNRESOLVED_REF',
  ],
  [
    'a field that the call does not ask for',
    [task('a'), { stepId: 'b', kind: 'PASS', input: ref('a.output.context.nothing'), dependsOn: ['a'] }],
    'UNRESOLVED_REF',
  ],
  ['no reference at all', [{ stepId: 'a', kind: 'PASS', input: ref('1 + 1') }], 'UNRESOLVED_REF'],
  ['a prototype', [{ stepId: 'a', kind: 'PASS', input: ref('input.__proto__.x') }], 'UNRESOLVED_REF'],
  ['an operation that the module has not', [task('a', { action: 'createPlan' })], 'UNKNOWN_OPERATION'],
  ['a module that is none', [task('a', { module: 'ghost' })], 'UNKNOWN_OPERATION'],
  ['an argument that the operation has not', [task('a', { input: { input: {}, more: 1 } })], 'VALIDATION_FAILED'],
  ['an argument of the wrong type', [task('a', { input: { input: { title: 7, root: {} } } })], 'VALIDATION_FAILED'],
  [
    'a call that cannot be repeated safely',
    [{ stepId: 'a', module: 'dialog', action: 'setTyping', input: { dialogId: 'x' } }],
    'UNKNOWN_OPERATION',
  ],
  ['a condition that is code', [task('a', { condition: 'process.exit()' })], 'INVALID_WORKFLOW'],
  ['two steps of one name', [task('a'), task('a')], 'INVALID_WORKFLOW'],
  ['a selection that the graph refuses', [task('a', { select: 'context { ghost }' })], 'VALIDATION_FAILED'],
  [
    'a selection that breaks out of its field',
    [task('a', { select: 'context { id } } contexts { nodes { id }' })],
    'VALIDATION_FAILED',
  ],
])('refused is %s', async (_what, steps, code) => {
  expect(await refused({ steps })).toMatchObject({ code });
});

test('validateWorkflow tells all problems and stores nothing', async () => {
  const query =
    'query ($definition: CoreWorkflowDefinitionInput!) { validateWorkflow(definition: $definition) { valid problems { code cycle } plan { totalSteps } } }';
  const bad = { steps: [task('a', { action: 'ghost' }), task('b', { condition: 'input.' })] };
  expect(await rig.field(alice, query, { definition: bad })).toMatchObject({
    valid: false,
    plan: null,
    problems: [{ code: 'UNKNOWN_OPERATION' }, { code: 'INVALID_WORKFLOW' }],
  });
  expect(await rig.field(alice, query, { definition: { steps: [task('a')] } })).toMatchObject({
    valid: true,
    problems: [],
    plan: { totalSteps: 1 },
  });
});

test('a retired workflow starts nothing; others know nothing of it', async () => {
  const workflowId = await rig.createWorkflow({ steps: [task('a')] });
  const retire = 'mutation ($id: ID!) { retireWorkflow(workflowId: $id) { workflow { status } userErrors { code } } }';
  expect(await rig.field(stranger, retire, { id: workflowId })).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  expect(
    await rig.field(stranger, 'query ($id: ID!) { workflow(workflowId: $id) { id } }', { id: workflowId }),
  ).toBeNull();
  expect(await rig.field(stranger, executeWorkflow, { input: { workflowId } })).toMatchObject({
    userErrors: [{ code: 'NOT_FOUND' }],
  });
  expect(await rig.field(alice, retire, { id: workflowId })).toMatchObject({ workflow: { status: 'RETIRED' } });
  expect(await rig.field(alice, executeWorkflow, { input: { workflowId } })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE' }],
  });
});

test('steps act with the rights of who started them, under one key for all attempts', async () => {
  const before = rig.calls.length;
  const id = await rig.start({ steps: [task('a')] });
  await rig.until(id, 'COMPLETED');
  const call = rig.calls.slice(before).find(({ field }) => field === 'createContext')!;
  expect(call.principal).toMatchObject({ tenantId: 'one', subject: 'alice', scopes: alice.scopes });
  expect(call.variables).toMatchObject({ input: { title: 'a', idempotencyKey: `core:${id}:a:do:0` } });
});

test('the input has to fit its schema; schemas that could run for ever are refused', async () => {
  const inputSchema = { type: 'object', required: ['n'], properties: { n: { type: 'integer', maximum: 3 } } };
  const definition = { steps: [{ stepId: 'a', kind: 'PASS', input: ref('input.n') }], inputSchema };
  const workflowId = await rig.createWorkflow(definition);
  expect(await rig.field(alice, executeWorkflow, { input: { workflowId, input: { n: 4 } } })).toMatchObject({
    userErrors: [{ code: 'VALIDATION_FAILED', path: ['input', 'input', 'n'] }],
  });
  expect(await rig.field(alice, executeWorkflow, { input: { workflowId, input: { n: 3 }, wait: true } })).toMatchObject(
    { execution: { output: { a: 3 } } },
  );
  expect(await refused({ ...definition, inputSchema: { type: 'string', pattern: '^(a+)+$' } })).toMatchObject({
    code: 'VALIDATION_FAILED',
  });
});

test('repeating a start with its key starts nothing', async () => {
  const workflowId = await rig.createWorkflow({ steps: [task('a')] });
  const input = { workflowId, idempotencyKey: 'once' };
  const [one, two] = await Promise.all([
    rig.field(alice, executeWorkflow, { input }),
    rig.field(alice, executeWorkflow, { input }),
  ]);
  expect(one['execution']!['id']).toBe(two['execution']!['id']);
  const [{ count }] =
    (await rig.sql`SELECT count(*)::int AS count FROM core.execution WHERE workflow_id = ${workflowId}`) as never as [
      { count: number },
    ];
  expect(count).toBe(1);
  expect(await rig.field(alice, executeWorkflow, { input: { ...input, priority: 'LOW' } })).toMatchObject({
    userErrors: [{ code: 'IDEMPOTENCY_MISMATCH' }],
  });
});

test('a context that is not active starts nothing', async () => {
  const workflowId = await rig.createWorkflow({ steps: [task('a')] });
  rig.contexts.set('one/0b1f0c52-91d4-4e0b-8c6a-00000000abcd', 'SUSPENDED');
  const start = (contextId: string) =>
    rig.field(alice, executeWorkflow, { input: { workflowId, contextId, wait: true } });
  expect(await start('0b1f0c52-91d4-4e0b-8c6a-00000000abcd')).toMatchObject({
    userErrors: [{ code: 'CONTEXT_NOT_ACTIVE' }],
  });
  expect(await start('1b1f0c52-91d4-4e0b-8c6a-00000000abcd')).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  const started = await start(rig.contextId);
  expect(started).toMatchObject({ execution: { status: 'COMPLETED' } });
  expect(stepOf(await rig.execution(String(started['execution']!['id'])), 'a')).toMatchObject({
    status: 'COMPLETED',
    attempt: 1,
  });
});
