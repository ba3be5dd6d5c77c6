import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  alice,
  type CoreRig,
  command,
  type GraphCall,
  made,
  openCoreRig,
  ref,
  refusal,
  stepOf,
  task,
  typesOf,
  undo,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ graceMs: 300, random: () => 0 });
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Contexts that the module has made and not deleted, by the key of the call. */
const standing = new Map<string, string>();
const undone: string[] = [];
const titleOf = ({ variables }: GraphCall) => String((variables['input'] as { title: string }).title);
const keyOf = ({ variables }: GraphCall) => String((variables['input'] as { idempotencyKey: string }).idempotencyKey);

function make(call: GraphCall) {
  if (titleOf(call).startsWith('bad')) return refusal('VALIDATION_FAILED');
  standing.set(keyOf(call), titleOf(call));
  return made(titleOf(call));
}

beforeEach(() => {
  standing.clear();
  undone.length = 0;
  rig.answers.set('createContext', make);
  rig.answers.set('deleteContext', ({ variables }: GraphCall) => {
    const id = String(variables['contextId']);
    undone.push(id);
    for (const [key, title] of standing) if (title === id) standing.delete(key);
    return { contextId: id, userErrors: [] };
  });
});

const effect = (stepId: string, more: object = {}) =>
  task(stepId, { compensation: undo, retry: { maxAttempts: 1 }, ...more });

test('what was done is undone in reverse order of dependency, each after all that built on it', async () => {
  const steps = [
    effect('a'),
    effect('b', { dependsOn: ['a'] }),
    effect('c', { dependsOn: ['a'] }),
    effect('d', { dependsOn: ['b', 'c'] }),
    effect('bad', { dependsOn: ['d'] }),
  ];
  const execution = await rig.until(await rig.start({ steps }), 'COMPENSATED');
  expect(undone).toHaveLength(4);
  expect([undone[0], undone[3], [...undone.slice(1, 3)].sort()]).toEqual(['d', 'a', ['b', 'c']]);
  expect(standing.size).toBe(0);
  expect(execution).toMatchObject({ ending: 'FAILED', error: { code: 'VALIDATION_FAILED' } });
  expect(stepOf(execution, 'bad')).toMatchObject({ status: 'FAILED' });
  expect(stepOf(execution, 'a')).toMatchObject({ status: 'COMPENSATED' });
});

test('what may have happened is undone too: its call is repeated under its key to learn what it did', async () => {
  let calls = 0;
  rig.answers.set('createContext', (call: GraphCall) => {
    if (titleOf(call) === 'lost') {
      calls += 1;
      // The module has done it; the first answer got lost, a repeat of the key finds the same.
      standing.set(keyOf(call), 'lost');
      if (calls === 1) throw new Error('the connection broke');
      return made('lost');
    }
    return make(call);
  });
  const execution = await rig.until(
    await rig.start({ steps: [effect('a'), effect('lost', { dependsOn: ['a'] })] }),
    'COMPENSATED',
  );
  expect(calls).toBe(2);
  expect(undone).toEqual(['lost', 'a']);
  expect(standing.size).toBe(0);
  expect(typesOf(execution)).toContain('step.settled lost');
});

test('a call that turns out to have had no effect has nothing to undo', async () => {
  let calls = 0;
  rig.answers.set('createContext', (call: GraphCall) => {
    if (titleOf(call) !== 'lost') return make(call);
    calls += 1;
    if (calls === 1) throw new Error('the connection broke');
    return refusal('VALIDATION_FAILED');
  });
  const execution = await rig.until(
    await rig.start({ steps: [effect('a'), effect('lost', { dependsOn: ['a'] })] }),
    'COMPENSATED',
  );
  expect(undone).toEqual(['a']);
  expect(stepOf(execution, 'lost')).toMatchObject({ status: 'COMPENSATED' });
});

test('a compensation is tried again until it succeeds', async () => {
  let tries = 0;
  rig.answers.set('deleteContext', ({ variables }: GraphCall) => {
    tries += 1;
    if (tries < 4) return refusal('UNAVAILABLE', { retryable: true });
    undone.push(String(variables['contextId']));
    return { userErrors: [] };
  });
  const id = await rig.start({ steps: [effect('a'), effect('bad', { dependsOn: ['a'] })] });
  await rig.until(id, 'COMPENSATED');
  expect([tries, undone]).toEqual([4, ['a']]);
  const keys = rig.calls.filter(
    ({ field, variables }) => field === 'deleteContext' && String(variables['idempotencyKey']).includes(id),
  );
  expect(new Set(keys.map(({ variables }) => variables['idempotencyKey']))).toEqual(new Set([`core:${id}:a:undo:0`]));
});

test('one that never succeeds is parked, the others are undone, and a person may have it tried again', async () => {
  rig.answers.set('deleteContext', ({ variables }: GraphCall) => {
    const id = String(variables['contextId']);
    if (id === 'b') return refusal('PERMISSION_DENIED');
    undone.push(id);
    return { userErrors: [] };
  });
  const id = await rig.start({
    steps: [effect('a'), effect('b', { dependsOn: ['a'] }), effect('bad', { dependsOn: ['b'] })],
  });
  const parked = await rig.until(id, 'FAILED');
  expect(parked).toMatchObject({ error: { code: 'COMPENSATION_FAILED', message: 'not undone: b' } });
  expect(stepOf(parked, 'b')).toMatchObject({ status: 'COMPENSATION_FAILED', error: { code: 'PERMISSION_DENIED' } });
  expect(undone).toEqual(['a']);
  const alarms = rig.events.filter(({ data }) => data['type'] === 'workflow.compensation.failed');
  expect(alarms.map(({ data }) => data['data'])).toMatchObject([{ executionId: id, stepId: 'b' }]);
  rig.answers.set('deleteContext', ({ variables }: GraphCall) => {
    undone.push(String(variables['contextId']));
    return { userErrors: [] };
  });
  const recover = command('recoverWorkflow', '$strategy: CoreRecoveryStrategy!');
  await rig.field(alice, recover, { id, strategy: 'COMPENSATE' });
  await rig.until(id, 'COMPENSATED');
  expect(undone).toEqual(['a', 'b']);
});

test('nothing at or before an irreversible step that is completed is undone', async () => {
  const steps = [
    effect('a'),
    effect('pivot', { dependsOn: ['a'], irreversible: true }),
    effect('b', { dependsOn: ['pivot'] }),
    effect('bad', { dependsOn: ['b'] }),
  ];
  await rig.until(await rig.start({ steps }), 'COMPENSATED');
  expect(undone).toEqual(['b']);
  expect([...standing.values()].sort()).toEqual(['a', 'pivot']);
});

test('cancel waits for what runs, then undoes; what does not end in its time counts as perhaps done', async () => {
  const entered = Promise.withResolvers<void>();
  rig.answers.set('createContext', async (call: GraphCall) => {
    if (titleOf(call) === 'slow') {
      standing.set(keyOf(call), 'slow');
      entered.resolve();
      if (rig.calls.filter((other) => other.field === 'createContext' && titleOf(other) === 'slow').length === 1)
        return new Promise(() => {});
      return made('slow');
    }
    return make(call);
  });
  const id = await rig.start({
    steps: [effect('a'), effect('slow', { dependsOn: ['a'] }), effect('never', { dependsOn: ['slow'] })],
  });
  await entered.promise;
  await rig.field(alice, command('cancelWorkflow', '$reason: String'), { id, reason: 'enough' });
  const execution = await rig.until(id, 'COMPENSATED');
  expect(execution).toMatchObject({ ending: 'CANCELLED', statusReason: 'enough' });
  expect(undone).toEqual(['slow', 'a']);
  expect(stepOf(execution, 'never')).toMatchObject({ status: 'CANCELLED', attempt: 0 });
});

test('sub-workflows are undone with their parent, the last first', async () => {
  const inner = await rig.createWorkflow({
    steps: [
      { ...effect('x'), input: { input: { title: ref('input.title'), root: { domain: 'd', environment: 'e' } } } },
    ],
  });
  const sub = (stepId: string, more: object = {}) => ({
    stepId,
    kind: 'WORKFLOW',
    workflowId: inner,
    input: { title: stepId },
    ...more,
  });
  const execution = await rig.until(
    await rig.start({ steps: [sub('one'), sub('two', { dependsOn: ['one'] }), effect('bad', { dependsOn: ['two'] })] }),
    'COMPENSATED',
  );
  expect(undone).toEqual(['two', 'one']);
  expect(execution['children']!['nodes']!.map(({ status }) => status)).toEqual(['COMPENSATED', 'COMPENSATED']);
});

test('FAIL_FAST and MANUAL undo nothing by themselves', async () => {
  const steps = [effect('a'), effect('bad', { dependsOn: ['a'] })];
  const fast = await rig.start({ steps, errorStrategy: 'FAIL_FAST' });
  const manual = await rig.start({ steps, rollback: 'MANUAL' });
  await rig.until(fast, 'FAILED');
  await rig.until(manual, 'FAILED');
  expect(undone).toEqual([]);
  await rig.field(alice, command('recoverWorkflow', '$strategy: CoreRecoveryStrategy!'), {
    id: manual,
    strategy: 'COMPENSATE',
  });
  await rig.until(manual, 'COMPENSATED');
  expect(undone).toEqual(['a']);
});
