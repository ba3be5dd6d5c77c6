import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  alice,
  type CoreRig,
  createWorkflow,
  executeWorkflow,
  type GraphCall,
  type Json,
  made,
  openCoreRig,
  principal,
  refusal,
  task,
  typesOf,
  undo,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  // Long enough for a busy machine to keep one that is alive.
  rig = await openCoreRig({ works: false, worker: { leaseMs: 20_000 } });
});
afterEach(() => rig.dismiss());
afterAll(() => rig[Symbol.asyncDispose]());

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const titleOf = ({ variables }: GraphCall) => String((variables['input'] as { title: string }).title);
const cores = (cpuCores: number, more: object = {}) => ({ resources: { requirements: { cpuCores }, ...more } });
const putNode = (who: typeof alice, capacity: object, name = 'node') =>
  rig.field(
    who,
    'mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { userErrors { code message } } }',
    { input: { name, capacity } },
  );
const shown = `query ($id: ID!) { workflowExecution(executionId: $id) { steps { stepId status waitsFor allocation { status requested { cpuCores } owner executionId stepId nodeId } resourceWait { reason queuePosition estimatedWaitMs } } } }`;
const shownSteps = async (id: string, who = alice) =>
  (await rig.field(who, shown, { id }))['steps'] as unknown as Record<string, unknown>[];
const allocationsOf = async (id: string) =>
  (await rig.sql`SELECT step_id AS step, status, reason FROM core.allocation WHERE execution_id = ${id} ORDER BY queued_at`) as unknown as {
    step: string;
    status: string;
    reason: string | null;
  }[];
const usedOf = async (tenantId: string) => {
  const [node] = (await rig.sql`SELECT used FROM core.node WHERE tenant_id = ${tenantId}`) as unknown as {
    used: number[];
  }[];
  return node!.used[0];
};
/** Starts a workflow of a tenant; answers the execution's id. */
async function start(who: typeof alice, definition: object, more: object = {}): Promise<string> {
  const payload = await rig.field(who, executeWorkflow, { input: { definition, ...more } });
  expect(payload['userErrors']).toEqual([]);
  return String(payload['execution']!['id']);
}
async function untilShown(id: string, holds: (steps: Record<string, unknown>[]) => boolean, who = alice) {
  for (const until = Date.now() + 20_000; ; ) {
    const steps = await shownSteps(id, who);
    if (holds(steps)) return steps;
    if (Date.now() > until) throw new Error(JSON.stringify(steps));
    await pause(20);
  }
}
const statusOf = (steps: Record<string, unknown>[], stepId: string) =>
  steps.find((step) => step['stepId'] === stepId)!['status'];

test('a step waits for its resources, says why, and begins once they are given back', async () => {
  await putNode(alice, { cpuCores: 2 });
  const gate = Promise.withResolvers<void>();
  rig.answers.set('createContext', async (call: GraphCall) => {
    if (titleOf(call) === 'holder') await gate.promise;
    return made(titleOf(call));
  });
  await rig.join();
  const holder = await start(alice, { steps: [task('holder', cores(2))] });
  const [held] = await untilShown(holder, (steps) => statusOf(steps, 'holder') === 'RUNNING');
  expect(held).toMatchObject({
    waitsFor: null,
    allocation: { status: 'ACTIVE', requested: { cpuCores: 2 }, owner: 'alice', executionId: holder, stepId: 'holder' },
    resourceWait: null,
  });
  const waiter = await start(alice, { steps: [task('waiter', cores(1))] });
  const [waiting] = await untilShown(waiter, (steps) => statusOf(steps, 'waiter') === 'WAITING');
  expect(waiting).toMatchObject({
    waitsFor: expect.stringMatching(/^allocation:/),
    allocation: { status: 'QUEUED' },
    resourceWait: { reason: 'NO_ROOM', queuePosition: 1 },
  });
  expect(await usedOf('one')).toBe(2);
  gate.resolve();
  await rig.until(holder, 'COMPLETED');
  const done = await rig.until(waiter, 'COMPLETED');
  expect(typesOf(done)).toEqual([
    'workflow.started',
    'step.waiting waiter',
    'step.allocated waiter',
    'step.started waiter',
    'step.completed waiter',
    'workflow.completed',
  ]);
  expect(await usedOf('one')).toBe(0);
  const audited =
    await rig.sql`SELECT detail FROM core.audit WHERE tenant_id = 'one' AND action = 'resource.allocated'`;
  expect(audited.map(({ detail }) => detail)).toMatchObject([
    { owner: 'alice', executionId: holder, stepId: 'holder', requested: { cpuCores: 2 } },
    { owner: 'alice', executionId: waiter, stepId: 'waiter', requested: { cpuCores: 1 } },
  ]);
  expect(await allocationsOf(waiter)).toMatchObject([{ step: 'waiter', status: 'released' }]);
});

test('by the quota of who started it; more than that, and what fits no node, fails the step', async () => {
  const who = principal('bob', { tenantId: 'quota' });
  await putNode(who, { cpuCores: 10 });
  const set = `mutation ($input: CoreQuotaInput!) { setQuota(input: $input) { userErrors { code } } }`;
  await rig.field(who, set, { input: { owner: 'bob', hard: { cpuCores: 2 } } });
  const gate = Promise.withResolvers<void>();
  rig.answers.set('createContext', async (call: GraphCall) => {
    if (titleOf(call) === 'a') await gate.promise;
    return made(titleOf(call));
  });
  await rig.join();
  const first = await start(who, { steps: [task('a', cores(2))] });
  await untilShown(first, (steps) => statusOf(steps, 'a') === 'RUNNING', who);
  const second = await start(who, { steps: [task('b', cores(1))] });
  const [waiting] = await untilShown(second, (steps) => statusOf(steps, 'b') === 'WAITING', who);
  expect(waiting).toMatchObject({ resourceWait: { reason: 'QUOTA' } });
  for (const [amount, code] of [
    [3, 'QUOTA_EXCEEDED'],
    [11, 'NEVER_FITS'],
  ] as const) {
    const refused = await start(who, { steps: [task('c', cores(amount))], timeoutMs: 60_000 });
    await untilShown(refused, (steps) => statusOf(steps, 'c') === 'FAILED', who);
    const [row] = await rig.sql`SELECT status, error->>'code' AS code FROM core.execution WHERE id = ${refused}`;
    expect(row).toMatchObject({ status: 'failed', code });
    expect(await allocationsOf(refused)).toMatchObject([{ status: 'failed', reason: code }]);
  }
  gate.resolve();
  await untilShown(second, (steps) => statusOf(steps, 'b') === 'COMPLETED', who);
  expect(await usedOf('quota')).toBe(0);
});

test('what a failed attempt, a pause, a cancel and a rollback held is given back', async () => {
  const who = principal('carol', { tenantId: 'ends' });
  await putNode(who, { cpuCores: 1 });
  let calls = 0;
  const gate = Promise.withResolvers<void>();
  rig.answers.set('deleteContext', { deleted: true, userErrors: [] });
  rig.answers.set('createContext', async (call: GraphCall) => {
    const title = titleOf(call);
    if (title === 'slow') await gate.promise;
    if (title === 'again') {
      calls += 1;
      if (calls === 1) return refusal('UNAVAILABLE', { retryable: true });
    }
    return title === 'bad' ? refusal('VALIDATION_FAILED') : made(title);
  });
  await rig.join();
  const again = await start(who, { steps: [task('again', { ...cores(1), retry: { maxAttempts: 3, delayMs: 100 } })] });
  await untilShown(again, (steps) => statusOf(steps, 'again') === 'COMPLETED', who);
  // An attempt each.
  expect((await allocationsOf(again)).map(({ status }) => status)).toEqual(['released', 'released']);

  const undone = await start(who, {
    steps: [task('good', { ...cores(1), compensation: undo }), task('bad', { ...cores(1), dependsOn: ['good'] })],
  });
  await untilShown(undone, (steps) => statusOf(steps, 'good') === 'COMPENSATED', who);
  expect(await usedOf('ends')).toBe(0);

  const slow = await start(who, { steps: [task('slow', cores(1))] });
  await untilShown(slow, (steps) => statusOf(steps, 'slow') === 'RUNNING', who);
  const queued = await start(who, { steps: [task('queued', cores(1))] });
  await untilShown(queued, (steps) => statusOf(steps, 'queued') === 'WAITING', who);
  const command = (name: string) =>
    rig.field(who, `mutation ($id: ID!) { ${name}(executionId: $id) { userErrors { code } } }`, { id: queued });
  expect(await command('pauseWorkflow')).toEqual({ userErrors: [] });
  expect(statusOf(await shownSteps(queued, who), 'queued')).toBe('READY');
  expect((await allocationsOf(queued)).map(({ status }) => status)).toEqual(['released']);
  await command('resumeWorkflow');
  await untilShown(queued, (steps) => statusOf(steps, 'queued') === 'WAITING', who);
  await command('cancelWorkflow');
  expect(statusOf(await shownSteps(queued, who), 'queued')).toBe('CANCELLED');
  expect((await allocationsOf(queued)).map(({ status }) => status)).toEqual(['released', 'released']);
  expect(await usedOf('ends')).toBe(1);
  gate.resolve();
  await untilShown(slow, (steps) => statusOf(steps, 'slow') === 'COMPLETED', who);
  expect(await usedOf('ends')).toBe(0);
});

test('what a worker that died held goes back with its lease, and the step is carried out with resources anew', async () => {
  const who = principal('dave', { tenantId: 'crash' });
  await putNode(who, { cpuCores: 1 });
  const never = Promise.withResolvers<void>();
  let calls = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    calls += 1;
    if (calls === 1) await never.promise;
    return made(titleOf(call));
  });
  const doomed = await rig.join({ worker: { leaseMs: 2_000 } });
  const id = await start(who, { steps: [task('a', cores(1))] });
  await untilShown(id, (steps) => statusOf(steps, 'a') === 'RUNNING', who);
  doomed.worker.abandon();
  await rig.join({ worker: { leaseMs: 2_000 } });
  await untilShown(id, (steps) => statusOf(steps, 'a') === 'COMPLETED', who);
  expect((await allocationsOf(id)).map(({ status }) => status)).toEqual(['released', 'released']);
  expect(await usedOf('crash')).toBe(0);
  never.resolve();
});

test('a lease that is taken from a running step has it carried out again; who may not allocate starts nothing', async () => {
  const who = principal('erin', { tenantId: 'taken' });
  await putNode(who, { cpuCores: 1 });
  const never = Promise.withResolvers<void>();
  let calls = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    calls += 1;
    if (calls === 1) await never.promise;
    return made(titleOf(call));
  });
  await rig.join();
  const low = await start(who, { steps: [task('a', cores(1, { preemptible: true }))] }, { priority: 'LOW' });
  await untilShown(low, (steps) => statusOf(steps, 'a') === 'RUNNING', who);
  const high = await start(who, { steps: [task('b', cores(1))] }, { priority: 'HIGH' });
  await untilShown(high, (steps) => statusOf(steps, 'b') === 'COMPLETED', who);
  await untilShown(low, (steps) => statusOf(steps, 'a') === 'COMPLETED', who);
  expect((await allocationsOf(low)).map(({ status }) => status)).toEqual(['preempted', 'released']);
  const [{ count }] = (await rig.sql`SELECT count(*)::int AS count FROM core.history
    WHERE execution_id = ${low} AND type = 'step.deprived'`) as unknown as [{ count: number }];
  expect(count).toBe(1);
  never.resolve();

  const poor = principal('frank', { tenantId: 'taken', scopes: ['workflow:*'] });
  const payload = await rig
    .field(poor, executeWorkflow, { input: { definition: { steps: [task('a', cores(1))] } } })
    .then(
      (answer) => answer['userErrors']![0 as never] as Json,
      (error: { code: string }) => error as unknown as Json,
    );
  expect(payload).toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('bad declarations are refused at the door', async () => {
  const refused = async (step: object) => {
    const { userErrors } = await rig.field(alice, createWorkflow, {
      input: { name: 'w', definition: { steps: [step] } },
    });
    return (userErrors![0 as never] as unknown as { code: string }).code;
  };
  expect(await refused(task('a', { resources: { requirements: {} } }))).toBe('VALIDATION_FAILED');
  expect(await refused(task('a', cores(-1)))).toBe('VALIDATION_FAILED');
  expect(await refused({ stepId: 'a', kind: 'PASS', ...cores(1) })).toBe('VALIDATION_FAILED');
});

test('steps at the same time never hold more than there is, and all come to their end with all given back', async () => {
  let at = 0;
  let running = 0;
  let over = 0;
  let capacity = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    const [, wanted] = titleOf(call).split('x');
    running += Number(wanted);
    if (running > capacity) over += 1;
    await pause(Math.random() * 10);
    running -= Number(wanted);
    return made('c');
  });
  await Promise.all([rig.join({ worker: { slots: 8, pollMs: 20 } }), rig.join({ worker: { slots: 8, pollMs: 20 } })]);
  const shape = fc.record({
    capacity: fc.integer({ min: 1, max: 4 }),
    workflows: fc.array(
      fc.array(fc.record({ wanted: fc.integer({ min: 1, max: 4 }), chained: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
      { minLength: 1, maxLength: 8 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(shape, async (given) => {
      at += 1;
      const who = principal('owner', { tenantId: `p${at}` });
      capacity = given.capacity;
      await putNode(who, { cpuCores: capacity });
      const ids = await Promise.all(
        given.workflows.map((steps, workflow) =>
          start(who, {
            errorStrategy: 'CONTINUE',
            steps: steps.map(({ wanted, chained }, place) => {
              // Its title says what it holds.
              const input = {
                input: {
                  title: `w${workflow}s${place}x${Math.min(wanted, capacity)}`,
                  root: { domain: 'd', environment: 'e' },
                },
              };
              const dependsOn = chained && place > 0 ? { dependsOn: [`s${place - 1}`] } : {};
              return { ...task(`s${place}`), ...cores(Math.min(wanted, capacity)), input, ...dependsOn };
            }),
          }),
        ),
      );
      for (const id of ids)
        for (const until = Date.now() + 30_000; ; ) {
          const [row] = (await rig.sql`SELECT status FROM core.execution WHERE id = ${id}`) as unknown as [
            { status: string },
          ];
          if (row.status === 'completed') break;
          if (Date.now() > until) throw new Error(JSON.stringify(await shownSteps(id, who)));
          await pause(10);
        }
      const open =
        await rig.sql`SELECT 1 FROM core.allocation WHERE tenant_id = ${who.tenantId} AND status <> 'released'`;
      expect(open).toHaveLength(0);
      expect(await usedOf(who.tenantId)).toBe(0);
      expect(over).toBe(0);
    }),
    { numRuns: 12 },
  );
  expect(running).toBe(0);
}, 180_000);
