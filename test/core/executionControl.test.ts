import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  alice,
  type CoreRig,
  command,
  createWorkflow,
  errors,
  type GraphCall,
  made,
  openCoreRig,
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

const retry = { maxAttempts: 3, delayMs: 100, maxDelayMs: 200 };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('pause lets what runs finish and begins nothing; resume goes on', async () => {
  const gate = Promise.withResolvers<void>();
  rig.answers.set('createContext', async (call: GraphCall) => {
    await gate.promise;
    return made(titleOf(call));
  });
  const id = await rig.start({ steps: [task('a'), task('b', { dependsOn: ['a'] })] });
  await rig.untilTrue(id, (execution) => stepOf(execution, 'a')['status'] === ('RUNNING' as unknown));
  expect(await rig.field(alice, command('pauseWorkflow', '$reason: String'), { id, reason: 'look' })).toMatchObject({
    execution: { status: 'PAUSED' },
  });
  gate.resolve();
  const paused = await rig.untilTrue(id, (execution) => stepOf(execution, 'a')['status'] === ('COMPLETED' as unknown));
  await pause(150);
  expect(stepOf(await rig.execution(id), 'b')).toMatchObject({ status: 'PENDING' });
  expect(paused).toMatchObject({ status: 'PAUSED', statusReason: 'look' });
  expect(await rig.field(alice, command('pauseWorkflow'), { id })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE_TRANSITION' }],
  });
  await rig.field(alice, command('resumeWorkflow'), { id });
  await rig.until(id, 'COMPLETED');
});

test('an attempt past its time is given up; the deadline of the whole ends everything', async () => {
  rig.answers.set('createContext', () => new Promise(() => {}));
  const started = Date.now();
  const step = await rig.start({ steps: [task('a', { timeoutMs: 1_000, retry: { ...retry, maxAttempts: 1 } })] });
  expect(stepOf(await rig.until(step, 'FAILED'), 'a')).toMatchObject({
    status: 'TIMED_OUT',
    error: { code: 'STEP_TIMEOUT' },
  });
  const whole = await rig.start({ steps: [{ stepId: 'w', kind: 'SIGNAL', signal: 'never' }] }, { timeoutMs: 1_000 });
  expect(await rig.until(whole, 'TIMED_OUT')).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED' } });
  const late = await rig.start({
    steps: [{ stepId: 'w', kind: 'SIGNAL', signal: 'never', timeoutMs: 1_000, onFailure: 'CONTINUE' }],
  });
  expect(stepOf(await rig.until(late, 'COMPLETED'), 'w')).toMatchObject({ status: 'TIMED_OUT' });
  expect(Date.now() - started).toBeGreaterThanOrEqual(3_000);
});

test('who works on a wait is heard of, or it is for another, as often as its policy allows', async () => {
  const watched = {
    stepId: 'w',
    kind: 'SIGNAL',
    signal: 'done',
    heartbeatMs: 1_000,
    retry: { ...retry, maxAttempts: 2 },
  };
  const id = await rig.start({ steps: [watched, { stepId: 'p', kind: 'PASS', input: 1 }] });
  const beat = (by: typeof alice, stepId: string) =>
    rig.field(
      by,
      `mutation ($id: ID!, $stepId: String!) { heartbeatWorkflowStep(executionId: $id, stepId: $stepId) { execution { status } ${errors} } }`,
      { id, stepId },
    );
  // Heard of for longer than it may be silent: nothing is held against it.
  for (let beats = 0; beats < 6; beats += 1) {
    expect(await beat(alice, 'w')).toMatchObject({ execution: { status: 'IN_PROGRESS' }, userErrors: [] });
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  expect(stepOf(await rig.execution(id), 'w')).toMatchObject({ status: 'WAITING', failures: 0 });
  expect(await beat(alice, 'p')).toMatchObject({ userErrors: [{ code: 'INVALID_STATE' }] });
  expect(await beat(alice, 'x')).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  expect(await beat(stranger, 'w')).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  const over = await rig.until(id, 'FAILED');
  expect(stepOf(over, 'w')).toMatchObject({
    status: 'TIMED_OUT',
    failures: 2,
    error: { code: 'STEP_TIMEOUT', message: 'no heartbeat within 1000 ms' },
  });
  expect(typesOf(over).filter((type) => type.endsWith(' w'))).toEqual([
    'step.waiting w',
    'step.retrying w',
    'step.timed.out w',
  ]);
  // A step that is called has its worker's lease.
  expect(
    await rig.field(alice, createWorkflow, {
      input: { name: 'w', definition: { steps: [task('a', { heartbeatMs: 1_000 })] } },
    }),
  ).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
});

test('recovery: resume, retry, skip and restart from a step', async () => {
  let broken = true;
  rig.answers.set('createContext', (call: GraphCall) =>
    broken && titleOf(call) === 'b' ? refusal('VALIDATION_FAILED') : made(titleOf(call)),
  );
  const steps = [task('a'), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'] })];
  const failed = async () => {
    broken = true;
    const id = await rig.start({ steps, rollback: 'NONE' });
    await rig.until(id, 'FAILED');
    broken = false;
    return id;
  };
  const recover = (id: string, strategy: string, stepId?: string) =>
    rig.field(alice, command('recoverWorkflow', '$strategy: CoreRecoveryStrategy!, $stepId: String'), {
      id,
      strategy,
      stepId,
    });
  const [resumed, retried, restarted] = [await failed(), await failed(), await failed()];
  await recover(resumed, 'RESUME');
  expect(stepOf(await rig.until(resumed, 'COMPLETED'), 'a')).toMatchObject({ attempt: 1 });
  expect(await recover(retried, 'RETRY_STEP', 'a')).toMatchObject({ userErrors: [{ code: 'INVALID_STATE' }] });
  expect(await recover(retried, 'RETRY_STEP', 'ghost')).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  await recover(retried, 'RETRY_STEP', 'b');
  await rig.until(retried, 'COMPLETED');
  const before = rig.calls.length;
  await recover(restarted, 'RESTART_FROM', 'a');
  await rig.until(restarted, 'COMPLETED');
  const again = rig.calls.slice(before).find((call) => titleOf(call) === 'a')!;
  expect(again.variables).toMatchObject({ input: { idempotencyKey: `core:${restarted}:a:do:1` } });
  broken = true;
  const skipped = await rig.start({ steps, rollback: 'NONE' });
  await rig.until(skipped, 'FAILED');
  await recover(skipped, 'SKIP', 'b');
  // All that c depends on is skipped now.
  const after = await rig.until(skipped, 'COMPLETED');
  expect(['a', 'b', 'c'].map((id) => stepOf(after, id)['status'])).toEqual(['COMPLETED', 'SKIPPED', 'SKIPPED']);
  expect(await recover(skipped, 'RESUME')).toMatchObject({ userErrors: [{ code: 'INVALID_STATE_TRANSITION' }] });
});

test('bulk: a dry run counts, the run changes what the filter finds and nothing else', async () => {
  const workflowId = await rig.createWorkflow({ steps: [{ stepId: 's', kind: 'SIGNAL', signal: 'go' }] });
  const ids = await Promise.all(
    Array.from({ length: 5 }, () =>
      rig.field(alice, `mutation ($w: ID!) { executeWorkflow(input: { workflowId: $w }) { execution { id } } }`, {
        w: workflowId,
      }),
    ),
  );
  const other = await rig.start({ steps: [{ stepId: 's', kind: 'SIGNAL', signal: 'go' }] });
  const bulk = (input: object, who = alice) =>
    rig.field(
      who,
      'mutation ($input: BulkCoreWorkflowsInput!) { bulkChangeWorkflows(input: $input) { matched changed dryRun refused { code } userErrors { code } } }',
      { input },
    );
  expect(await bulk({ filter: { workflowId }, action: 'CANCEL' })).toMatchObject({
    matched: 5,
    changed: 0,
    dryRun: true,
  });
  expect(await bulk({ filter: { workflowId }, action: 'CANCEL', dryRun: false }, stranger)).toMatchObject({
    matched: 0,
  });
  expect(await bulk({ filter: { workflowId }, action: 'CANCEL', dryRun: false })).toMatchObject({
    matched: 5,
    changed: 5,
    refused: [],
  });
  for (const payload of ids) await rig.until(String(payload['execution']!['id']), 'CANCELLED');
  expect(await rig.execution(other)).toMatchObject({ status: 'IN_PROGRESS' });
  expect(await bulk({ filter: { workflowId }, action: 'CANCEL', dryRun: false })).toMatchObject({
    matched: 0,
    changed: 0,
  });
});

test('no more executions run at the same time than the workflow allows; the others follow', async () => {
  const workflowId = await rig.createWorkflow(
    { steps: [{ stepId: 's', kind: 'WAIT', waitMs: 150 }] },
    { maxConcurrentExecutions: 2 },
  );
  const start = () =>
    rig.field(alice, `mutation ($w: ID!) { executeWorkflow(input: { workflowId: $w }) { execution { id } } }`, {
      w: workflowId,
    });
  const ids = (await Promise.all(Array.from({ length: 6 }, start))).map((payload) =>
    String(payload['execution']!['id']),
  );
  let most = 0;
  for (let open = 6; open > 0; ) {
    const rows = (await rig.sql`SELECT status FROM core.execution WHERE workflow_id = ${workflowId}`) as unknown as {
      status: string;
    }[];
    most = Math.max(most, rows.filter(({ status }) => status === 'in_progress').length);
    open = rows.filter(({ status }) => status !== 'completed').length;
    await pause(10);
  }
  expect(most).toBe(2);
  for (const id of ids) await rig.until(id, 'COMPLETED');
  const [row] = (await rig.sql`SELECT running FROM core.workflow WHERE id = ${workflowId}`) as unknown as [
    { running: number },
  ];
  expect(row.running).toBe(0);
});

test('whatever the network, each step runs once, after all it depends on, and never more at a time than allowed', async () => {
  const networks = fc.integer({ min: 1, max: 10 }).chain((size) =>
    fc.record({
      links: fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 20 }),
      size: fc.constant(size),
      maxConcurrentSteps: fc.integer({ min: 1, max: 4 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(networks, async ({ links, size, maxConcurrentSteps }) => {
      const dependsOn = (to: number) => [
        ...new Set(links.flatMap(([a, b]) => (Math.max(a, b) === to && a !== b ? [`s${Math.min(a, b)}`] : []))),
      ];
      const steps = Array.from({ length: size }, (_, at) => task(`s${at}`, { dependsOn: dependsOn(at) }));
      const done = new Set<string>();
      let running = 0;
      let most = 0;
      rig.answers.set('createContext', async (call: GraphCall) => {
        running += 1;
        most = Math.max(most, running);
        const title = titleOf(call);
        for (const source of dependsOn(Number(title.slice(1)))) expect(done).toContain(source);
        expect(done).not.toContain(title);
        await pause(1);
        done.add(title);
        running -= 1;
        return made(title);
      });
      const execution = await rig.until(await rig.start({ steps, maxConcurrentSteps }), 'COMPLETED', 'FAILED');
      expect(execution).toMatchObject({ status: 'COMPLETED', endedSteps: size, completion: 1 });
      expect(done.size).toBe(size);
      expect(most).toBeLessThanOrEqual(maxConcurrentSteps);
      const numbers = execution['history']!['nodes']!.map(({ sequence }) => Number(sequence as unknown as number));
      expect(numbers).toEqual(numbers.map((_, at) => at + 1));
    }),
    { numRuns: 15 },
  );
});
