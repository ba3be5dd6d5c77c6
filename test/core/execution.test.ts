import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { backoffMs } from '../../subgraphs/core/execution/failure.ts';
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
  stranger,
  task,
  typesOf,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ worker: { leaseMs: 3_000 }, graceMs: 1_000 });
});
afterAll(() => rig[Symbol.asyncDispose]());
const titleOf = ({ variables }: GraphCall) => String((variables['input'] as { title: string }).title);
beforeEach(() => {
  rig.answers.set('createContext', (call: GraphCall) => made(titleOf(call)));
});

const pass = (stepId: string, input: unknown, more: object = {}) => ({ stepId, kind: 'PASS', input, ...more });
const retry = { maxAttempts: 3, delayMs: 100, maxDelayMs: 200 };

test('a failure that may pass is tried again at an instant in its row; history numbers every attempt', async () => {
  let tries = 0;
  rig.answers.set('createContext', () => {
    tries += 1;
    return tries < 3 ? refusal('UNAVAILABLE', { retryable: true }) : made('third');
  });
  const id = await rig.start({ steps: [task('a', { retry })] });
  const execution = await rig.until(id, 'COMPLETED');
  expect(stepOf(execution, 'a')).toMatchObject({ status: 'COMPLETED', attempt: 3, failures: 2, output: made('third') });
  expect(execution).toMatchObject({ retryCount: 2 });
  expect(typesOf(execution)).toEqual([
    'workflow.started',
    'step.started a',
    'step.retrying a',
    'step.started a',
    'step.retrying a',
    'step.started a',
    'step.completed a',
    'workflow.completed',
  ]);
  expect(execution['history']!['nodes']!.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  const own = rig.events.filter(({ streamId }) => streamId === id);
  expect(own.map(({ type }) => type)).toEqual(execution['history']!['nodes']!.map(({ type }) => type));
  expect(own.map((event) => ('sequence' in event ? event.sequence : 0))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('what the same call would meet again is not tried again', async () => {
  rig.answers.set('createContext', refusal('VALIDATION_FAILED'));
  const execution = await rig.until(
    await rig.start({ steps: [task('a', { retry }), task('b', { dependsOn: ['a'] })] }),
    'FAILED',
  );
  expect(stepOf(execution, 'a')).toMatchObject({ status: 'FAILED', attempt: 1, error: { code: 'VALIDATION_FAILED' } });
  expect(stepOf(execution, 'b')).toMatchObject({ status: 'CANCELLED', attempt: 0 });
  expect(execution).toMatchObject({ error: { code: 'VALIDATION_FAILED' } });
});

test('the critical path is the way that took longest, whatever the plan had expected', async () => {
  rig.answers.set('createContext', async (call: GraphCall) => {
    if (titleOf(call) === 'slow') await new Promise((resolve) => setTimeout(resolve, 150));
    return made(titleOf(call));
  });
  const steps = [
    task('slow'),
    task('quick'),
    pass('after', {}, { dependsOn: ['quick'] }),
    pass('end', {}, { dependsOn: ['slow'] }),
  ];
  const id = await rig.start({ steps });
  await rig.until(id, 'COMPLETED');
  const read = 'query ($id: ID!) { workflowExecution(executionId: $id) { criticalPath } }';
  expect(await rig.field(alice, read, { id })).toEqual({ criticalPath: ['slow', 'end'] });
});

test('only what the policy names is tried again, where it names anything', async () => {
  let calls = 0;
  rig.answers.set('createContext', () => {
    calls += 1;
    return refusal('UNAVAILABLE', { retryable: true });
  });
  const steps = [task('a', { retry: { maxAttempts: 3, delayMs: 100, retryable: ['RATE_LIMITED'] } })];
  const failed = await rig.until(await rig.start({ steps }), 'FAILED', 'COMPENSATED');
  expect(stepOf(failed, 'a')).toMatchObject({ status: 'FAILED', attempt: 1, error: { code: 'UNAVAILABLE' } });
  expect(calls).toBe(1);
});

test('a result that does not fit the schema of the workflow fails it; a schema that is none is refused', async () => {
  const workflow = (value: unknown) => ({
    ...{ steps: [{ stepId: 'a', kind: 'PASS', input: { n: value } }], output: { n: ref('a.output.n') } },
    outputSchema: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } },
  });
  expect(await rig.until(await rig.start(workflow(1)), 'COMPLETED')).toMatchObject({ output: { n: 1 } });
  const failed = await rig.until(await rig.start(workflow('one')), 'FAILED', 'COMPENSATED');
  expect(failed).toMatchObject({
    output: null,
    error: { code: 'OUTPUT_INVALID', message: 'output.n: must be number' },
  });
  await expect(rig.createWorkflow({ ...workflow(1), outputSchema: { type: 'nonsense' } })).rejects.toThrow();
});

test('backoff doubles up to its cap, and any share of it may be waited', () => {
  const policy = { delayMs: 1_000, backoffFactor: 2, maxDelayMs: 5_000 };
  expect([1, 2, 3, 4, 9].map((failures) => backoffMs(policy, failures, () => 0.999_999))).toEqual([
    999, 1_999, 3_999, 4_999, 4_999,
  ]);
  expect(backoffMs(policy, 3, () => 0)).toBe(0);
});

test('a condition that is false skips a step, and what depends on nothing else; the others go on', async () => {
  const id = await rig.start(
    {
      steps: [
        pass('n', ref('input.n')),
        pass('small', 's', { dependsOn: ['n'], condition: 'n.output < 5' }),
        pass('large', 'l', { dependsOn: ['n'], condition: 'n.output >= 5 AND input.on == TRUE' }),
        pass('afterSmall', 'x', { dependsOn: ['small'] }),
        pass('either', 'e', { dependsOn: ['small', 'large'] }),
      ],
    },
    { input: { n: 7, on: true } },
  );
  const execution = await rig.until(id, 'COMPLETED');
  expect(execution['steps']!.map(({ stepId, status }) => `${stepId} ${status}`)).toEqual([
    'n COMPLETED',
    'small SKIPPED',
    'large COMPLETED',
    'afterSmall SKIPPED',
    'either COMPLETED',
  ]);
});

test('joins: any, quorum and settled bear failures that all does not', async () => {
  rig.answers.set('createContext', (call: GraphCall) =>
    titleOf(call).startsWith('bad') ? refusal('VALIDATION_FAILED') : made(titleOf(call)),
  );
  const branches = [task('bad1'), task('bad2'), task('good1'), task('good2')];
  const dependsOn = ['bad1', 'bad2', 'good1', 'good2'];
  const joined = (join: string, more: object = {}) =>
    rig.start({ steps: [...branches, pass('end', join, { dependsOn, join, ...more })] });
  const [any, quorum, settled, unmet, all] = await Promise.all([
    joined('ANY'),
    joined('QUORUM', { quorum: 2 }),
    joined('SETTLED'),
    joined('QUORUM', { quorum: 3 }),
    joined('ALL'),
  ]);
  for (const id of [any, quorum, settled])
    expect(stepOf(await rig.until(id!, 'COMPLETED'), 'end')).toMatchObject({ status: 'COMPLETED' });
  expect(stepOf(await rig.until(unmet!, 'FAILED'), 'end')).toMatchObject({
    status: 'FAILED',
    error: { code: 'JOIN_UNMET' },
  });
  expect(await rig.until(all!, 'FAILED')).toMatchObject({ error: { code: 'VALIDATION_FAILED' } });
});

test('errorStrategy CONTINUE never fails as a whole; onFailure CONTINUE bears one step', async () => {
  rig.answers.set('createContext', refusal('VALIDATION_FAILED'));
  const whole = await rig.start({
    steps: [task('a'), pass('b', 1, { dependsOn: ['a'] }), pass('c', 2)],
    errorStrategy: 'CONTINUE',
  });
  const execution = await rig.until(whole, 'COMPLETED');
  expect(['a', 'b', 'c'].map((id) => stepOf(execution, id)['status'])).toEqual(['FAILED', 'SKIPPED', 'COMPLETED']);
  const one = await rig.start({ steps: [task('a', { onFailure: 'CONTINUE' }), pass('c', 2)] });
  await rig.until(one, 'COMPLETED');
});

test('a wait is a row that fires once, also where nobody was there to wait', async () => {
  const id = await rig.start({
    steps: [{ stepId: 'w', kind: 'WAIT', waitMs: 300 }, pass('end', 1, { dependsOn: ['w'] })],
  });
  expect(stepOf(await rig.execution(id), 'w')).toMatchObject({ status: 'WAITING' });
  const execution = await rig.until(id, 'COMPLETED');
  expect(typesOf(execution).filter((type) => type.startsWith('timer'))).toEqual(['timer.fired w']);
  const [row] =
    (await rig.sql`SELECT extract(epoch FROM finished_at - started_at)::float8 * 1000 AS ms FROM core.step_execution WHERE execution_id = ${id} AND step_id = 'w'`) as unknown as [
      { ms: number },
    ];
  expect(row.ms).toBeGreaterThanOrEqual(300);
});

test('a signal reaches the step that waits for it, or is kept for one that will; a signal twice with one key is one', async () => {
  const steps = [
    { stepId: 's', kind: 'SIGNAL', signal: 'go' },
    { stepId: 'late', kind: 'SIGNAL', signal: 'later', dependsOn: ['s'] },
    pass('end', [ref('s.output.by'), ref('late.output.n')], { dependsOn: ['late'] }),
  ];
  const id = await rig.start({ steps });
  const send = (name: string, payload: object, key?: string) =>
    rig.field(alice, command('signalWorkflow', '$signal: CoreSignalInput!, $idempotencyKey: String'), {
      id,
      signal: { name, payload },
      idempotencyKey: key,
    });
  await send('later', { n: 2 }, 'key');
  await send('later', { n: 2 }, 'key');
  expect(stepOf(await rig.execution(id), 's')).toMatchObject({ status: 'WAITING', waitsFor: 'signal:go' });
  await send('go', { by: 'me' });
  const execution = await rig.until(id, 'COMPLETED');
  expect(execution).toMatchObject({ output: { end: ['me', 2] } });
  const [{ count }] =
    (await rig.sql`SELECT count(*)::int AS count FROM core.signal WHERE execution_id = ${id}`) as unknown as [
      { count: number },
    ];
  expect(count).toBe(1);
  expect(await send('go', {})).toMatchObject({ userErrors: [{ code: 'INVALID_STATE' }] });
  expect(
    await rig.field(stranger, command('signalWorkflow', '$signal: CoreSignalInput!'), { id, signal: { name: 'go' } }),
  ).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
});

test('an approval is a signal: of a Confirm decided before or after the wait begins', async () => {
  const [before, after, never] = [newId(), newId(), newId()];
  await rig.tell('confirm', 'confirm.resolved', { confirm: { id: before, status: 'approved' } }, before);
  await rig.service.catchUp();
  const approval = (confirmId: string) => ({
    steps: [
      pass('asked', confirmId),
      { stepId: 'ok', kind: 'APPROVAL', confirmId: ref('asked.output'), dependsOn: ['asked'] },
    ],
  });
  await rig.until(await rig.start(approval(before)), 'COMPLETED');
  const waiting = await rig.start(approval(after));
  expect(stepOf(await rig.execution(waiting), 'ok')).toMatchObject({ status: 'WAITING', waitsFor: `confirm:${after}` });
  await rig.tell('confirm', 'confirm.resolved', { confirm: { id: after, status: 'approved' } }, after);
  expect(stepOf(await rig.until(waiting, 'COMPLETED'), 'ok')).toMatchObject({
    output: { confirmId: after, status: 'APPROVED' },
  });
  const refused = await rig.start(approval(never));
  await rig.tell('confirm', 'confirm.resolved', { confirm: { id: never, status: 'rejected' } }, never);
  expect(await rig.until(refused, 'FAILED')).toMatchObject({ error: { code: 'APPROVAL_REFUSED' } });
});

test('sub-workflows run by their own version; what fails in one fails its step', async () => {
  rig.answers.set('createContext', (call: GraphCall) =>
    titleOf(call) === 'bad' ? refusal('VALIDATION_FAILED') : made(titleOf(call)),
  );
  const inner = await rig.createWorkflow({
    steps: [task('x', { input: { input: { title: ref('input.title'), root: { domain: 'd', environment: 'e' } } } })],
    output: ref('x.output.context.id'),
  });
  const outer = (title: string) =>
    rig.start({
      steps: [
        { stepId: 'sub', kind: 'WORKFLOW', workflowId: inner, input: { title } },
        pass('end', ref('sub.output'), { dependsOn: ['sub'] }),
      ],
    });
  const good = await rig.until(await outer('fine'), 'COMPLETED');
  expect(good).toMatchObject({
    output: { end: 'fine' },
    children: { nodes: [{ status: 'COMPLETED', parentStepId: 'sub' }] },
  });
  // Its executions are undone, though there was nothing to undo.
  expect(await rig.until(await outer('bad'), 'COMPENSATED')).toMatchObject({ error: { code: 'CHILD_FAILED' } });
});

test('a loop goes on while its condition is true, and never beyond its bound', async () => {
  const loop = (loopWhile: string, maxIterations?: number) => ({
    steps: [
      {
        stepId: 'l',
        kind: 'LOOP',
        loopWhile,
        input: { from: 'me' },
        body: [pass('r', { n: ref('input.iteration'), by: ref('input.from') })],
        ...(maxIterations === undefined ? {} : { maxIterations }),
      },
    ],
  });
  const done = await rig.until(await rig.start(loop('loop.iteration < 3')), 'COMPLETED');
  expect(done).toMatchObject({ output: { l: { iterations: 3, output: { r: { n: 3, by: 'me' } } } } });
  expect(done['children']!['nodes']!.length).toBe(3);
  const byOutput = await rig.until(await rig.start(loop('NOT loop.output EXISTS OR loop.output.r.n < 2')), 'COMPLETED');
  expect(byOutput).toMatchObject({ output: { l: { iterations: 2 } } });
  expect(await rig.until(await rig.start(loop('TRUE', 4)), 'COMPENSATED')).toMatchObject({
    error: { code: 'LOOP_BOUND' },
  });
});
