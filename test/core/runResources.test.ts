import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  alice,
  type CoreRig,
  command,
  createWorkflow,
  executeWorkflow,
  type GraphCall,
  type Json,
  made,
  openCoreRig,
  principal,
  refusal,
  stepOf,
  task,
  typesOf,
  undo,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  // Long enough for a busy machine to keep one that is alive.
  rig = await openCoreRig({ works: false, worker: { leaseMs: 20_000 }, graceMs: 500 });
});
beforeEach(async () => {
  rig.answers.set('createContext', (call: GraphCall) => made(titleOf(call)));
  rig.answers.set('deleteContext', { deleted: true, userErrors: [] });
  await rig.sql`DELETE FROM core.node WHERE tenant_id = 'one'`;
  await rig.sql`DELETE FROM core.quota WHERE tenant_id = 'one'`;
});
afterEach(() => rig.dismiss());
afterAll(() => rig[Symbol.asyncDispose]());

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const titleOf = ({ variables }: GraphCall) => String((variables['input'] as { title: string }).title);
const cores = (cpuCores: number) => ({ resources: { requirements: { cpuCores } } });
const putNode = (cpuCores: number, who = alice) =>
  rig.field(
    who,
    'mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { userErrors { code message } } }',
    { input: { name: 'node', capacity: { cpuCores } } },
  );
const send = (id: string, name: string) =>
  rig.field(
    alice,
    'mutation ($id: ID!, $name: String!) { signalWorkflow(executionId: $id, signal: { name: $name }) { userErrors { code } } }',
    { id, name },
  );
const own = (id: string) =>
  rig.field(
    alice,
    'query ($id: ID!) { workflowExecution(executionId: $id) { status allocationId allocation { status stepId executionId owner } resourceWait { reason queuePosition } } }',
    { id },
  );
/** What runs as a whole have asked for, in their order. */
const asked = async (id: string) =>
  (
    (await rig.sql`SELECT status FROM core.allocation WHERE execution_id = ${id} AND step_id IS NULL ORDER BY queued_at, id`) as unknown as {
      status: string;
    }[]
  ).map(({ status }) => status);
const used = async (tenantId = 'one') => {
  const [node] = (await rig.sql`SELECT used[1] AS used FROM core.node WHERE tenant_id = ${tenantId}`) as unknown as [
    { used: number },
  ];
  return node.used;
};
const runs = (execution: Json, stepId: string) => String(stepOf(execution, stepId)['status']) === 'RUNNING';

/** Holds each call of this title until it is opened. */
function gateAt(title: string) {
  const gate = Promise.withResolvers<void>();
  rig.answers.set('createContext', async (call: GraphCall) => {
    if (titleOf(call) === title) await gate.promise;
    return made(titleOf(call));
  });
  return gate;
}

test('what a run holds is granted before its first step and given back with its end; the next begins then', async () => {
  await putNode(2);
  const gate = gateAt('slow');
  await rig.join();
  const first = await rig.start({ ...cores(2), steps: [task('a'), task('slow', { dependsOn: ['a'] })] });
  await rig.untilTrue(first, (execution) => runs(execution, 'slow'));
  expect(await own(first)).toMatchObject({
    allocation: { status: 'ACTIVE', stepId: null, executionId: first, owner: 'alice' },
    resourceWait: null,
  });
  const second = await rig.start({ ...cores(1), steps: [task('b')] });
  expect(await own(second)).toMatchObject({
    ...{ status: 'IN_PROGRESS', allocation: { status: 'QUEUED' } },
    resourceWait: { reason: 'NO_ROOM', queuePosition: 1 },
  });
  expect(stepOf(await rig.execution(second), 'b')).toMatchObject({ status: 'PENDING', attempt: 0 });
  gate.resolve();
  await rig.until(first, 'COMPLETED');
  const done = await rig.until(second, 'COMPLETED');
  expect(typesOf(done)).toEqual([
    ...['workflow.started', 'workflow.waiting', 'workflow.allocated'],
    ...['step.started b', 'step.completed b', 'workflow.completed'],
  ]);
  expect([await asked(first), await asked(second), await used()]).toEqual([['released'], ['released'], 0]);
  expect(await own(first)).toMatchObject({ allocationId: null, allocation: null });
});

test('it goes back however a run ends: failed, undone, cancelled while it waits or runs, out of time', async () => {
  await putNode(2);
  await rig.join();
  rig.answers.set('createContext', async (call: GraphCall) => {
    if (titleOf(call) === 'stuck') await new Promise(() => {});
    return titleOf(call) === 'bad' ? refusal('VALIDATION_FAILED') : made(titleOf(call));
  });
  const failed = await rig.start({ ...cores(2), steps: [task('bad')] });
  await rig.until(failed, 'FAILED');
  expect([await asked(failed), await used()]).toEqual([['released'], 0]);

  // Until what was done is undone it is held.
  const heldAtUndo: number[] = [];
  rig.answers.set('deleteContext', async () => {
    heldAtUndo.push(await used());
    return { deleted: true, userErrors: [] };
  });
  const undone = await rig.start({
    ...cores(2),
    steps: [task('good', { compensation: undo }), task('bad', { dependsOn: ['good'] })],
  });
  await rig.until(undone, 'COMPENSATED');
  expect([heldAtUndo, await asked(undone), await used()]).toEqual([[2], ['released'], 0]);

  const running = await rig.start({ ...cores(2), steps: [task('stuck', { timeoutMs: 60_000 })] });
  await rig.untilTrue(running, (execution) => runs(execution, 'stuck'));
  const waiting = await rig.start({ ...cores(1), steps: [task('w')] });
  expect(await own(waiting)).toMatchObject({ allocation: { status: 'QUEUED' } });
  // Paused it waits for nothing.
  await rig.field(alice, command('pauseWorkflow'), { id: waiting });
  expect(await asked(waiting)).toEqual(['released']);
  await rig.field(alice, command('resumeWorkflow'), { id: waiting });
  expect(await own(waiting)).toMatchObject({ allocation: { status: 'QUEUED' } });
  await rig.field(alice, command('cancelWorkflow'), { id: waiting });
  await rig.until(waiting, 'CANCELLED');
  expect(await asked(waiting)).toEqual(['released', 'released']);
  await rig.field(alice, command('cancelWorkflow'), { id: running });
  await rig.until(running, 'CANCELLED');
  expect([await asked(running), await used()]).toEqual([['released'], 0]);

  const late = await rig.start({ ...cores(2), timeoutMs: 1_000, steps: [task('stuck', { timeoutMs: 60_000 })] });
  await rig.until(late, 'TIMED_OUT');
  expect([await asked(late), await used()]).toEqual([['released'], 0]);

  // A run that is tried again holds it again.
  rig.answers.set('createContext', (call: GraphCall) => made(titleOf(call)));
  const recover = `mutation ($id: ID!) { recoverWorkflow(executionId: $id, strategy: RESUME) { userErrors { code message } } }`;
  expect(await rig.field(alice, recover, { id: failed })).toEqual({ userErrors: [] });
  await rig.until(failed, 'COMPLETED');
  expect([await asked(failed), await used()]).toEqual([['released', 'released'], 0]);
});

test('a worker that dies takes nothing with it: the heir goes on with the same lease, and extends it', async () => {
  await putNode(1);
  let calls = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    calls += 1;
    if (calls === 1) await new Promise(() => {});
    return made(titleOf(call));
  });
  const doomed = await rig.join({ worker: { leaseMs: 1_500 } });
  const id = await rig.start({
    ...cores(1),
    steps: [task('a'), { stepId: 'w', kind: 'SIGNAL', signal: 'go', dependsOn: ['a'] }],
  });
  await rig.untilTrue(id, (execution) => runs(execution, 'a'));
  doomed.worker.abandon();
  await rig.join({ worker: { leaseMs: 1_500 } });
  await rig.untilTrue(id, (execution) => String(stepOf(execution, 'w')['status']) === 'WAITING');
  expect([await asked(id), await used()]).toEqual([['active'], 1]);
  // Nobody but time moves it now; its lease is to last all the same.
  await rig.sql`UPDATE core.allocation SET expires_at = now() + interval '20 seconds' WHERE execution_id = ${id}`;
  await rig.sql`UPDATE core.execution SET next_at = least(next_at, now()) WHERE id = ${id}`;
  for (const until = Date.now() + 10_000; ; ) {
    const [{ ms }] = (await rig.sql`SELECT (extract(epoch FROM expires_at - now()) * 1000)::float8 AS ms
      FROM core.allocation WHERE execution_id = ${id}`) as unknown as [{ ms: number }];
    if (ms > 30_000) break;
    if (Date.now() > until) throw new Error(`its lease lasts ${ms} ms`);
    await pause(20);
  }
  const [row] =
    await rig.sql`SELECT next_at < now() + interval '30 seconds' AS soon FROM core.execution WHERE id = ${id}`;
  expect(row).toMatchObject({ soon: true });
  await send(id, 'go');
  await rig.until(id, 'COMPLETED');
  expect([await asked(id), await used()]).toEqual([['released'], 0]);
});

test('what is taken from a run is asked for anew, and what ran meanwhile is carried out again', async () => {
  await putNode(1);
  let calls = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    calls += 1;
    if (calls === 1) await new Promise(() => {});
    return made(titleOf(call));
  });
  await rig.join();
  const id = await rig.start({ ...cores(1), steps: [task('a', { timeoutMs: 60_000 })] });
  await rig.untilTrue(id, (execution) => runs(execution, 'a'));
  const { allocationId } = (await own(id)) as unknown as { allocationId: string };
  const release = 'mutation ($id: ID!) { releaseResources(allocationId: $id) { userErrors { code } } }';
  expect(await rig.field(alice, release, { id: allocationId })).toEqual({ userErrors: [] });
  const done = await rig.until(id, 'COMPLETED');
  expect(stepOf(done, 'a')).toMatchObject({ attempt: 2, failures: 0 });
  expect(typesOf(done)).toEqual(expect.arrayContaining(['workflow.deprived', 'step.lapsed a']));
  expect([await asked(id), await used()]).toEqual([['released', 'released'], 0]);
});

test('waits for a signal hold resources of their own, or give back those of the run until they are over', async () => {
  await putNode(2);
  await rig.join();
  const holding = await rig.start({
    steps: [{ stepId: 'w', kind: 'SIGNAL', signal: 'go', ...cores(2) }, task('a', { dependsOn: ['w'] })],
  });
  await rig.untilTrue(holding, (execution) => String(stepOf(execution, 'w')['waitsFor']) === 'signal:go');
  expect(await used()).toBe(2);
  // A wait that finds no room waits for that first; what it is told meanwhile is kept for it.
  const later = await rig.start({ steps: [{ stepId: 'w', kind: 'SIGNAL', signal: 'go', ...cores(1) }] });
  expect(stepOf(await rig.execution(later), 'w')).toMatchObject({ waitsFor: expect.stringMatching(/^allocation:/) });
  await send(later, 'go');
  await rig.field(alice, command('pauseWorkflow'), { id: holding });
  expect(await used()).toBe(2);
  await rig.field(alice, command('resumeWorkflow'), { id: holding });
  await send(holding, 'go');
  await rig.until(holding, 'COMPLETED');
  await rig.until(later, 'COMPLETED');
  expect(await used()).toBe(0);

  const releasing = await rig.start({
    ...cores(2),
    steps: [
      task('before'),
      { stepId: 'w', kind: 'SIGNAL', signal: 'go', releasesResources: true, dependsOn: ['before'] },
      task('after', { dependsOn: ['w'] }),
    ],
  });
  await rig.untilTrue(releasing, (execution) => String(stepOf(execution, 'w')['status']) === 'WAITING');
  for (const until = Date.now() + 10_000; (await used()) !== 0; await pause(20))
    if (Date.now() > until) throw new Error(JSON.stringify(await own(releasing)));
  const gate = gateAt('between');
  const between = await rig.start({ ...cores(2), steps: [task('between', { timeoutMs: 60_000 })] });
  await rig.untilTrue(between, (execution) => runs(execution, 'between'));
  await send(releasing, 'go');
  expect(stepOf(await rig.execution(releasing), 'after')).toMatchObject({ status: 'PENDING' });
  expect(await own(releasing)).toMatchObject({ allocation: { status: 'QUEUED' } });
  gate.resolve();
  const done = await rig.until(releasing, 'COMPLETED');
  expect(typesOf(done).filter((type) => /^workflow\.(allocated|released|waiting)/.test(type))).toEqual([
    ...['workflow.waiting', 'workflow.allocated', 'workflow.released', 'workflow.waiting', 'workflow.allocated'],
  ]);
  expect([await asked(releasing), await used()]).toEqual([['released', 'released'], 0]);
});

test('what could never be granted fails the run; bad declarations and who may not allocate are refused', async () => {
  await putNode(2);
  await rig.join();
  const never = await rig.until(await rig.start({ ...cores(3), steps: [task('a')] }), 'FAILED');
  expect(never).toMatchObject({ error: { code: 'NEVER_FITS' } });
  expect(stepOf(never, 'a')).toMatchObject({ status: 'CANCELLED', attempt: 0 });
  const refused = async (definition: object) => {
    const { userErrors } = await rig.field(alice, createWorkflow, { input: { name: 'w', definition } });
    return userErrors!.map(({ code }) => String(code))[0];
  };
  const wait = { stepId: 'w', kind: 'SIGNAL', signal: 'go' };
  expect(await refused({ resources: { requirements: {} }, steps: [task('a')] })).toBe('VALIDATION_FAILED');
  expect(await refused({ steps: [{ ...wait, releasesResources: true }] })).toBe('VALIDATION_FAILED');
  expect(await refused({ ...cores(1), steps: [task('a', { releasesResources: true })] })).toBe('VALIDATION_FAILED');
  expect(await refused({ ...cores(1), steps: [{ ...wait, ...cores(1), releasesResources: true }] })).toBe(
    'VALIDATION_FAILED',
  );
  expect(await refused({ ...cores(1), steps: [{ ...wait, releasesResources: true }] })).toBeUndefined();
  const poor = principal('frank', { scopes: ['workflow:*'] });
  const answer = await rig
    .field(poor, executeWorkflow, { input: { definition: { ...cores(1), steps: [task('a')] } } })
    .then(
      ({ userErrors }) => userErrors!.map(({ code }) => String(code))[0],
      ({ code }: { code: string }) => code,
    );
  expect(answer).toBe('PERMISSION_DENIED');
});

test('whatever becomes of runs and of their workers, no lease stays', async () => {
  let round = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    await pause(Math.random() * 20);
    return titleOf(call) === 'bad' ? refusal('VALIDATION_FAILED') : made(titleOf(call));
  });
  const shape = fc.array(
    fc.record({
      wanted: fc.integer({ min: 1, max: 2 }),
      end: fc.constantFrom('complete', 'fail', 'cancel', 'signal'),
      dies: fc.constantFrom(true, false, false),
    }),
    { minLength: 3, maxLength: 6 },
  );
  const settings = { worker: { leaseMs: 700, slots: 4, pollMs: 20 } };
  let worker = await rig.join(settings);
  await fc.assert(
    fc.asyncProperty(shape, async (given) => {
      round += 1;
      const who = principal('owner', { tenantId: `lost${round}` });
      await putNode(2, who);
      const ids = await Promise.all(
        given.map(async ({ wanted, end, dies }) => {
          const steps = [
            task('a', { compensation: undo }),
            end === 'signal'
              ? { stepId: 'b', kind: 'SIGNAL', signal: 'go', releasesResources: true, dependsOn: ['a'] }
              : task('b', { ...task(end === 'fail' ? 'bad' : 'fine'), stepId: 'b', dependsOn: ['a'] }),
            task('c', { dependsOn: ['b'] }),
          ];
          const payload = await rig.field(who, executeWorkflow, { input: { definition: { ...cores(wanted), steps } } });
          const id = String(payload['execution']!['id']);
          if (dies) {
            worker.worker.abandon();
            worker = await rig.join(settings);
          }
          if (end === 'cancel') await rig.field(who, command('cancelWorkflow'), { id });
          if (end === 'signal')
            await rig.field(
              who,
              'mutation ($id: ID!) { signalWorkflow(executionId: $id, signal: { name: "go" }) { userErrors { code } } }',
              { id },
            );
          return id;
        }),
      );
      for (const id of ids)
        for (const until = Date.now() + 30_000; ; ) {
          const [row] =
            (await rig.sql`SELECT status, completed_at IS NOT NULL AS over FROM core.execution WHERE id = ${id}`) as unknown as [
              { status: string; over: boolean },
            ];
          if (row.over) break;
          if (Date.now() > until) throw new Error(JSON.stringify(row));
          await pause(20);
        }
      const open =
        await rig.sql`SELECT status FROM core.allocation WHERE tenant_id = ${who.tenantId} AND status IN ('active', 'queued')`;
      expect(open).toHaveLength(0);
      expect(await used(who.tenantId)).toBe(0);
    }),
    { numRuns: 6, endOnFailure: true },
  );
}, 180_000);
