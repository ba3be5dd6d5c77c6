import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import {
  alice,
  type CoreRig,
  createWorkflow,
  type GraphCall,
  type Json,
  made,
  openCoreRig,
  principal,
  ref,
  refusal,
  task,
  typesOf,
  undo,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ graceMs: 300, random: () => 0 });
});
afterAll(() => rig[Symbol.asyncDispose]());

const titleOf = ({ variables }: GraphCall) => String((variables['input'] as { title: string }).title);
/** What modules were called with, in order. */
const heard: string[] = [];
beforeEach(() => {
  heard.length = 0;
  rig.answers.set('createContext', (call: GraphCall) => {
    heard.push(titleOf(call));
    return titleOf(call).startsWith('bad') ? refusal('VALIDATION_FAILED') : made(titleOf(call));
  });
  rig.answers.set('deleteContext', ({ variables }: GraphCall) => {
    heard.push(`undo ${String(variables['contextId'])}`);
    return { contextId: variables['contextId'], userErrors: [] };
  });
});

const once = (stepId: string, more: object = {}) => task(stepId, { retry: { maxAttempts: 1 }, ...more });
const titled = (stepId: string, title: string, more: object = {}) =>
  once(stepId, { input: { input: { title, root: { domain: 'd', environment: 'e' } } }, ...more });
const childrenOf = (execution: Json) => execution['children']!['nodes']!;

test('what cleans up runs after all is undone, knows what has ended, and goes as far as it can', async () => {
  const id = await rig.start(
    {
      steps: [once('a', { compensation: undo }), once('bad', { dependsOn: ['a'] })],
      cleanupSteps: [
        titled('bad', 'bad again'),
        titled('tell', `${ref('input.status')} ${ref('input.error.code')} ${ref('input.input.who')}`),
      ],
      inputSchema: { type: 'object' },
    },
    { input: { who: 'ann' } },
  );
  const execution = await rig.until(id, 'COMPENSATED');
  expect(typesOf(execution).at(-1)).toBe('workflow.cleanup.started');
  const [child] = childrenOf(execution) as unknown as Json[];
  const cleaned = await rig.until(String(child!['id']), 'COMPLETED', 'FAILED');
  expect(cleaned).toMatchObject({ status: 'COMPLETED', steps: [{ status: 'FAILED' }, { status: 'COMPLETED' }] });
  expect(heard.slice(0, 3)).toEqual(['a', 'bad', 'undo a']);
  expect(heard.slice(3).sort()).toEqual(['COMPENSATED VALIDATION_FAILED ann', 'bad again']);
});

test('what is completed is not cleaned up after; each failure of one that is tried again is, once', async () => {
  const cleanupSteps = [once('swept')];
  const good = await rig.until(await rig.start({ steps: [once('a')], cleanupSteps }), 'COMPLETED');
  expect(childrenOf(good)).toHaveLength(0);
  const id = await rig.start({ steps: [once('bad')], cleanupSteps });
  const failed = await rig.until(id, 'FAILED');
  expect(childrenOf(failed)).toHaveLength(1);
  await rig.until(String(childrenOf(failed)[0 as never]!['id']), 'COMPLETED');
  await rig.field(
    alice,
    'mutation ($id: ID!) { recoverWorkflow(executionId: $id, strategy: RESUME) { userErrors { code } } }',
    { id },
  );
  const again = await rig.untilTrue(
    id,
    (execution) => String(execution['status']) === 'FAILED' && childrenOf(execution).length === 2,
  );
  await Promise.all(childrenOf(again).map((child) => rig.until(String(child['id']), 'COMPLETED')));
  expect(heard).toEqual(['a', 'bad', 'swept', 'bad', 'swept']);
});

test('too few steps that completed fail an execution that bears failures; as many as it asks for do not', async () => {
  const steps = ['a', 'b', 'c', 'bad'].map((stepId) => once(stepId));
  const run = async (minSuccessRate: number) =>
    rig.until(
      await rig.start({ steps, errorStrategy: 'CONTINUE', minSuccessRate }),
      ...['COMPLETED', 'FAILED', 'COMPENSATED'],
    );
  expect(await run(0.75)).toMatchObject({ status: 'COMPLETED' });
  expect(await run(0.76)).toMatchObject({
    status: 'FAILED',
    error: { code: 'SUCCESS_RATE_TOO_LOW', message: 'expected 0.76 of the steps, 3 of 4 completed' },
  });
  const refused = await rig.field(alice, createWorkflow, {
    input: { name: 'w', definition: { steps, minSuccessRate: 1.5 } },
  });
  expect(refused).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
});

test('steps that clean up are looked through like the others', async () => {
  const refused = await rig.field(alice, createWorkflow, {
    input: {
      name: 'w',
      definition: {
        steps: [once('a')],
        cleanupSteps: [{ stepId: 'b', module: 'context', action: 'ghost', input: {} }],
      },
    },
  });
  expect(refused).toMatchObject({
    userErrors: [{ code: 'UNKNOWN_OPERATION', path: ['input', 'definition', 'cleanupSteps', '0', 'action'] }],
  });
});

test('an execution tells what its steps have taken', async () => {
  const id = await rig.start({ steps: [once('a'), once('b', { dependsOn: ['a'] }), { stepId: 'p', kind: 'PASS' }] });
  await rig.until(id, 'COMPLETED');
  const { resourceUsage } = await rig.field(
    alice,
    'query ($id: ID!) { workflowExecution(executionId: $id) { resourceUsage { calls busyMs queuedMs bytes modules { module calls busyMs } } } }',
    { id },
  );
  expect(resourceUsage).toMatchObject({ calls: 2, modules: [{ module: 'context', calls: 2 }] });
  for (const name of ['busyMs', 'queuedMs', 'bytes']) expect(Number(resourceUsage![name])).toBeGreaterThanOrEqual(0);
});

test('a context that was created is given a plan, a role and a trace, unless the tenant says otherwise', async () => {
  const who = principal('alice', { tenantId: 'defaults' });
  const contextId = newId();
  rig.contexts.set(`defaults/${contextId}`, 'ACTIVE');
  const decided = async (more: object = {}) => {
    const payload = await rig.field(
      who,
      'mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { actions { ruleName module action input } } userErrors { code message } } }',
      { input: { eventType: 'context.created', contextId, ...more } },
    );
    expect(payload['userErrors']).toEqual([]);
    return payload['decision']!['actions']!;
  };
  const all = await decided();
  expect(all).toMatchObject([{ input: { input: {} } }, {}, {}]);
  expect(all.map(({ action }) => String(action)).sort()).toEqual(['createPlan', 'createRole', 'createTrace']);
  expect(JSON.stringify(all).split(contextId)).toHaveLength(4);
  expect(await decided({ contextId: null })).toHaveLength(0);
  const put = await rig.field(
    who,
    'mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { rule { id builtIn enabled } userErrors { code message } } }',
    {
      input: {
        ...{ name: 'default.role', trigger: 'context.created', enabled: false },
        actions: [{ module: 'trace', action: 'createTrace', input: { input: { contextId, name: 'never' } } }],
      },
    },
  );
  expect(put).toMatchObject({ rule: { builtIn: false, enabled: false }, userErrors: [] });
  expect((await decided()).map(({ action }) => String(action)).sort()).toEqual(['createPlan', 'createTrace']);
  const rules = await rig.field(who, '{ orchestrationRules { id name builtIn } }');
  expect(rules.map(({ name, builtIn }) => [String(name), builtIn] as unknown)).toEqual(
    expect.arrayContaining([
      ['default.role', false],
      ['default.plan', true],
      ['default.trace', true],
    ]),
  );
  const ruleId = String(rules.find(({ name }) => String(name) === 'default.plan')['id']);
  const removed = await rig.field(
    who,
    'mutation ($ruleId: ID!) { deleteOrchestrationRule(ruleId: $ruleId) { userErrors { code } } }',
    { ruleId },
  );
  expect(removed).toMatchObject({ userErrors: [{ code: 'INVALID_STATE' }] });
});

test('each action of the platform’s own rules is an operation of the graph', async () => {
  const actions = (await rig.field(alice, '{ orchestrationRules { actions { module action input } } }'))
    .map(({ actions: own }) => own)
    .flatMap((own) => [...(own as unknown as Json[])]);
  const steps = actions.map(({ module, action, input }, at) => ({ stepId: `s${at}`, module, action, input }));
  const { valid, problems } = (await rig.field(
    alice,
    'query ($definition: CoreWorkflowDefinitionInput!) { validateWorkflow(definition: $definition) { valid problems { message } } }',
    { definition: { steps: JSON.parse(JSON.stringify(steps).replaceAll(ref('execution.contextId'), newId())) } },
  )) as unknown as { valid: boolean; problems: unknown[] };
  expect([valid, problems]).toEqual([true, []]);
});
