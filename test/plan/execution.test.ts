import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig, principal, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second, third] = agents as [(typeof agents)[0], (typeof agents)[0], (typeof agents)[0]];
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: 1_000, ...more });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('three agents carry out a diamond; the plan is completed with its last step', async () => {
  const [a, b, c, d] = [newId(), newId(), newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [step(a), step(b, { dependsOn: [a] }), step(c, { dependsOn: [a] }), step(d, { dependsOn: [b, c] })],
  });
  const root = (await rig.claim(first, executionId))['lease']!;
  expect(root['stepId']).toBe(a);
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
  await rig.complete(first, root, { found: 42 });
  const left = (await rig.claim(second, executionId))['lease']!;
  const right = (await rig.claim(third, executionId))['lease']!;
  expect([left['stepId'], right['stepId']].sort()).toEqual([b, c].sort());
  await rig.complete(second, left);
  expect((await rig.claim(first, executionId))['lease']).toBeNull();
  await rig.complete(third, right);
  const last = (await rig.claim(first, executionId))['lease']!;
  const payload = await rig.complete(first, last);
  expect(payload['execution']).toMatchObject({
    status: 'COMPLETED',
    endedSteps: 4,
    runningSteps: 0,
    overallProgress: 1,
  });
  const plan = await rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { status steps { id status result } } }', {
    id: planId,
  });
  expect(plan['status']).toBe('COMPLETED');
  expect(plan['steps']!.find(({ id }) => String(id) === a)).toMatchObject({
    status: 'COMPLETED',
    result: { found: 42 },
  });
});

test('the late completion of an agent that died is refused by its fencing token', async () => {
  const id = newId();
  const { executionId } = await rig.startPlan({ steps: [step(id)] });
  const dead = (await rig.claim(first, executionId, { leaseMs: 100 }))['lease']!;
  await pause(150);
  const taken = (await rig.claim(second, executionId))['lease']!;
  expect(taken).toMatchObject({ stepId: id, attempt: 2 });
  const late = await rig.complete(first, dead, { lost: true });
  expect(late['userErrors']).toMatchObject([{ code: 'LEASE_LOST' }]);
  const done = await rig.complete(second, taken, { kept: true });
  expect(done['step']).toMatchObject({ status: 'COMPLETED', result: { kept: true } });
  expect(done['execution']).toMatchObject({ status: 'COMPLETED' });
});

test('a lease that has ended completes nothing, even where nobody has taken it over', async () => {
  const { executionId } = await rig.startPlan({ steps: [step(newId())] });
  const lease = (await rig.claim(first, executionId, { leaseMs: 100 }))['lease']!;
  await pause(150);
  expect((await rig.complete(first, lease))['userErrors']).toMatchObject([{ code: 'LEASE_LOST' }]);
  expect(await rig.service.runs.sweep()).toBe(1);
  const again = (await rig.claim(second, executionId))['lease']!;
  expect(Number(again['epoch'])).toBeGreaterThan(Number(lease['epoch']));
});

test('only the holder completes; foreign tenants and steps of other plans are unknown', async () => {
  const { executionId } = await rig.startPlan({ steps: [step(newId())] });
  const lease = (await rig.claim(first, executionId))['lease']!;
  await expect(rig.complete(second, lease)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect((await rig.claim(stranger, executionId))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  const other = { ...lease, stepId: newId() } as unknown as Json;
  expect((await rig.complete(first, other))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  expect((await rig.complete(first, lease))['execution']).toMatchObject({ status: 'COMPLETED' });
});

test('a failure is retried with backoff, then the step waits for a decision, and the run goes on', async () => {
  const { executionId } = await rig.startPlan({
    steps: [step(newId())],
    failureResolver: { strategies: ['RETRY', 'MANUAL_INTERVENTION'], maxAttempts: 2, delayMs: 100 },
  });
  const lease = (await rig.claim(first, executionId))['lease']!;
  const retried = await rig.fail(first, lease, { message: 'boom' });
  expect(retried['step']).toMatchObject({ status: 'PENDING', failures: 1, error: 'boom' });
  await pause(150);
  const blocked = await rig.fail(first, (await rig.claim(first, executionId))['lease']!, { message: 'again' });
  expect(blocked['step']).toMatchObject({ status: 'BLOCKED', failures: 2 });
  expect(
    rig.events.filter(({ type, streamId }) => type === 'approval.requested' && streamId === executionId),
  ).toHaveLength(1);
  await rig.ask(
    alice,
    'mutation ($e: ID!, $s: ID!) { resolveStep(executionId: $e, stepId: $s, resolution: RETRY) { userErrors { code } } }',
    { e: executionId, s: lease['stepId'] },
  );
  const done = await rig.complete(second, (await rig.claim(second, executionId))['lease']!);
  expect(done['execution']).toMatchObject({ status: 'COMPLETED' });
});

test.each([
  ['SKIP', 'SKIPPED', 'COMPLETED'],
  ['RETRY', 'FAILED', 'FAILED'],
])('strategy %s: a failure that cannot be mended leaves the step %s and the run %s', async (strategy, status, run) => {
  const { executionId } = await rig.startPlan({ steps: [step(newId())], failureResolver: { strategies: [strategy] } });
  const payload = await rig.fail(first, (await rig.claim(first, executionId))['lease']!, {
    message: 'no',
    retryable: false,
  });
  expect(payload).toMatchObject({ step: { status }, execution: { status: run, runningSteps: 0 } });
});

test('rollback does the predecessors again, once', async () => {
  const [a, b] = [newId(), newId()];
  const { executionId } = await rig.startPlan({
    steps: [step(a), step(b, { dependsOn: [a] })],
    failureResolver: { strategies: ['ROLLBACK'] },
  });
  const claim = async () => (await rig.claim(first, executionId))['lease']!;
  await rig.complete(first, await claim());
  await rig.fail(first, await claim(), { message: 'no' });
  const again = await claim();
  expect(again['stepId']).toBe(a);
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
  await rig.complete(first, again);
  const failed = await rig.fail(first, await claim(), { message: 'no' });
  expect(failed).toMatchObject({ step: { status: 'FAILED' }, execution: { status: 'FAILED' } });
});

test('pause stops the handing out, cancel ends leases', async () => {
  const { executionId } = await rig.startPlan({ steps: [step(newId()), step(newId())] });
  const lease = (await rig.claim(first, executionId))['lease']!;
  await rig.ask(alice, 'mutation ($id: ID!) { pauseExecution(executionId: $id) { userErrors { code } } }', {
    id: executionId,
  });
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
  const report = await rig.field(
    first,
    'mutation ($lease: StepLeaseInput!) { reportStepProgress(lease: $lease, progress: 0.5) { directive userErrors { code } } }',
    { lease: { executionId, stepId: lease['stepId'], epoch: lease['epoch'] } },
  );
  expect(report).toEqual({ directive: 'PAUSE', userErrors: [] });
  await rig.ask(alice, 'mutation ($id: ID!) { resumeExecution(executionId: $id) { userErrors { code } } }', {
    id: executionId,
  });
  expect((await rig.claim(second, executionId))['lease']).not.toBeNull();
  const cancelled = await rig.field(
    alice,
    'mutation ($id: ID!) { cancelExecution(executionId: $id) { execution { status runningSteps } plan { status } userErrors { code } } }',
    { id: executionId },
  );
  expect(cancelled).toMatchObject({
    execution: { status: 'CANCELLED', runningSteps: 0 },
    plan: { status: 'CANCELLED' },
  });
  expect((await rig.complete(first, lease))['userErrors']).toMatchObject([{ code: 'EXECUTION_NOT_ACTIVE' }]);
});

test('a run is cancelled by the author of its plan, by who started it, and by administrators', async () => {
  const cancel = (who: typeof alice, id: string) =>
    rig.field(
      who,
      'mutation ($id: ID!) { cancelExecution(executionId: $id) { execution { status } userErrors { code } } }',
      { id },
    );
  const { executionId } = await rig.startPlan({ steps: [step(newId())] });
  await expect(cancel(second, executionId)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect((await rig.claim(first, executionId))['lease']).not.toBeNull();
  expect(await cancel(alice, executionId)).toMatchObject({ execution: { status: 'CANCELLED' } });

  const planId = await rig.createPlan({ steps: [step(newId())] });
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
  const { execution } = await rig.field(
    second,
    'mutation ($id: ID!) { executePlan(input: { planId: $id }) { execution { id } userErrors { code } } }',
    { id: planId },
  );
  await expect(cancel(first, String(execution!['id']))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await cancel(second, String(execution!['id']))).toMatchObject({ execution: { status: 'CANCELLED' } });

  const other = await rig.startPlan({ steps: [step(newId())] });
  const root = principal('root', { scopes: ['*'] });
  expect(await cancel(root, other.executionId)).toMatchObject({ execution: { status: 'CANCELLED' } });
});

test('a context that leaves active pauses its running executions', async () => {
  const { executionId } = await rig.startPlan({ steps: [step(newId())] });
  const started = await rig.subgraph.start();
  await rig.tell(
    'context',
    'context.state.changed',
    { context: { id: rig.contextId, status: 'suspended' } },
    rig.contextId,
  );
  // What another transaction holds back is heard a moment later.
  await expect
    .poll(
      async () => {
        await rig.service.catchUp();
        return rig.field(alice, 'query ($id: ID!) { planExecution(executionId: $id) { status pausedBy } }', {
          id: executionId,
        });
      },
      { timeout: 10_000 },
    )
    .toEqual({ status: 'PAUSED', pausedBy: 'CONTEXT' });
  await started.close();
  await rig.sql`UPDATE plan.replica SET status = 'active'`;
});

test('no step starts before its predecessors have ended, and capacity is never exceeded', {
  timeout: 60_000,
}, async () => {
  const shape = fc.record({
    edges: fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 12 }),
    maxConcurrentTasks: fc.integer({ min: 1, max: 3 }),
    choices: fc.array(fc.nat(2), { minLength: 40, maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ edges, maxConcurrentTasks, choices }) => {
      const ids = Array.from({ length: 8 }, newId);
      const pairs = [...new Set(edges.filter(([a, b]) => a < b).map((pair) => pair.join()))].map(
        (pair) => pair.split(',').map(Number) as [number, number],
      );
      const { executionId } = await rig.startPlan(
        {
          steps: ids.map((id) => step(id, { demands: [{ resourceId: 'desk', amount: 1 }] })),
          resources: [{ id: 'desk', capacity: 2 }],
          dependencies: pairs.map(([a, b]) => ({ sourceId: ids[a], targetId: ids[b] })),
        },
        { maxConcurrentTasks },
      );
      const done = new Set<string>();
      const held: { readonly agent: (typeof agents)[0]; readonly lease: Json }[] = [];
      for (let at = 0; done.size < ids.length; at += 1) {
        expect(at).toBeLessThan(200);
        const agent = agents[choices[at % choices.length]!]!;
        const lease = (await rig.claim(agent, executionId))['lease'];
        if (lease) {
          held.push({ agent, lease });
          const to = ids.indexOf(String(lease['stepId']));
          for (const [a, b] of pairs) if (b === to) expect(done).toContain(ids[a]);
          expect(held.length).toBeLessThanOrEqual(Math.min(2, maxConcurrentTasks));
        }
        if (!lease || choices[at % choices.length] === 0) {
          const [next] = held.splice(0, 1);
          if (!next) continue;
          await rig.complete(next.agent, next.lease);
          done.add(String(next.lease['stepId']));
        }
      }
      const run = await rig.field(alice, 'query ($id: ID!) { planExecution(executionId: $id) { status } }', {
        id: executionId,
      });
      expect(run['status']).toBe('COMPLETED');
    }),
    { numRuns: 12 },
  );
});
