import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createCoreService } from '../../subgraphs/core/service.ts';
import {
  alice,
  type CoreRig,
  executeWorkflow,
  type GraphCall,
  made,
  openCoreRig,
  principal,
  stepOf,
  task,
  typesOf,
} from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  // Long enough for a busy machine to keep one that is alive.
  rig = await openCoreRig({ works: false, worker: { leaseMs: 2_000 } });
});
// What a test has left running would take the next one's work.
afterEach(() => rig.dismiss());
afterAll(() => rig[Symbol.asyncDispose]());
const titleOf = ({ variables }: GraphCall) => String((variables['input'] as { title: string }).title);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a worker that dies loses its lease: the step is handed out again, and the late word of the dead is refused', async () => {
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  rig.answers.set('createContext', async (call: GraphCall) => {
    calls += 1;
    if (calls === 1) await gate.promise;
    return made(titleOf(call));
  });
  const doomed = await rig.join();
  const id = await rig.start({ steps: [task('a')] });
  await rig.untilTrue(id, (execution) => stepOf(execution, 'a')['status'] === ('RUNNING' as unknown));
  const [lease] =
    (await rig.sql`SELECT lease_owner AS owner, lease_epoch AS epoch FROM core.step_execution WHERE execution_id = ${id}`) as unknown as [
      { owner: string; epoch: number },
    ];
  expect(lease.owner).toBe(doomed.worker.owner);
  doomed.worker.abandon();
  const heir = await rig.join();
  const execution = await rig.until(id, 'COMPLETED');
  expect(stepOf(execution, 'a')).toMatchObject({ status: 'COMPLETED', attempt: 2, failures: 0 });
  expect(typesOf(execution)).toEqual([
    'workflow.started',
    'step.started a',
    'step.lapsed a',
    'step.started a',
    'step.completed a',
    'workflow.completed',
  ]);
  const late = doomed.transitions.send(
    { tenantId: 'one', executionId: id },
    { kind: 'outcome', stepId: 'a', epoch: lease.epoch, result: { ok: true, output: 'lost' } },
  );
  await expect(late).rejects.toMatchObject({ code: 'LEASE_LOST' });
  gate.resolve();
  await pause(50);
  expect(stepOf(await rig.execution(id), 'a')).toMatchObject({ output: made('a') });
  const keys = rig.calls
    .filter(({ field }) => field === 'createContext')
    .map(({ variables }) => (variables['input'] as { idempotencyKey: string }).idempotencyKey);
  expect(new Set(keys).size).toBe(1);
  await heir.worker.close();
});

test('a heartbeat keeps the lease of a step that takes longer than one', async () => {
  rig.answers.set('createContext', async (call: GraphCall) => {
    await pause(12_000);
    return made(titleOf(call));
  });
  await rig.join({ worker: { leaseMs: 5_000 } });
  const execution = await rig.until(await rig.start({ steps: [task('a')] }), 'COMPLETED');
  expect(stepOf(execution, 'a')).toMatchObject({ attempt: 1 });
});

test('several workers share the work and never a step', async () => {
  const seen = new Map<string, number>();
  rig.answers.set('createContext', async (call: GraphCall) => {
    const key = String((call.variables['input'] as { idempotencyKey: string }).idempotencyKey);
    seen.set(key, (seen.get(key) ?? 0) + 1);
    await pause(5);
    return made(titleOf(call));
  });
  const workers = await Promise.all([
    rig.join({ worker: { slots: 4, leaseMs: 20_000, pollMs: 20 } }),
    rig.join({ worker: { slots: 4, leaseMs: 20_000, pollMs: 20 } }),
    rig.join({ worker: { slots: 4, leaseMs: 20_000, pollMs: 20 } }),
  ]);
  const steps = Array.from({ length: 6 }, (_, at) => task(`s${at}`, at === 0 ? {} : { dependsOn: [`s${at - 1}`] }));
  const workflowId = await rig.createWorkflow({ steps });
  const ids = await Promise.all(
    Array.from({ length: 30 }, async () =>
      String((await rig.field(alice, executeWorkflow, { input: { workflowId } }))['execution']!['id']),
    ),
  );
  for (const id of ids) await rig.until(id, 'COMPLETED');
  expect(seen.size).toBe(180);
  expect([...seen.values()].every((count) => count === 1)).toBe(true);
  const owners =
    (await rig.sql`SELECT DISTINCT data->>'owner' AS owner FROM core.history WHERE type = 'step.started' AND execution_id = ANY(${ids}::uuid[])`) as unknown as {
      owner: string;
    }[];
  expect(owners.length).toBeGreaterThanOrEqual(2);
  await Promise.all(workers.map(({ worker }) => worker.close()));
});

test('a claim takes tenants by turns in proportion to their shares, however much one of them has waiting', async () => {
  // Nobody works: what is started waits for a claim.
  const idle = createCoreService(rig.runtime, { worker: { slots: 0 } });
  const tenants = ['big', 'small', 'double'];
  await rig.sql`INSERT INTO core.tenant_share (tenant_id, weight) VALUES ('double', 2)`;
  for (const tenant of tenants) {
    const who = principal('owner', { tenantId: tenant });
    const scope = {
      principal: who,
      correlationId: newId(),
      traceparent: '',
      readTags: new Set<string>(),
      written: [],
      moduleContexts: new Map(),
    };
    const definition = { steps: [task('a')] };
    const workflowId = await idle.workflows.create(scope, { name: 'w', definition });
    for (let n = 0; n < (tenant === 'big' ? 60 : 12); n += 1) await idle.executions.start(scope, { workflowId });
  }
  const claimed: string[] = [];
  rig.answers.set('createContext', (call: GraphCall) => {
    claimed.push(call.principal.tenantId);
    return new Promise(() => {});
  });
  const worker = createCoreService(rig.runtime, { worker: { slots: 16, leaseMs: 60_000 } });
  worker.worker.start(worker.transitions, async () => 0);
  await pause(1_500);
  worker.worker.abandon();
  const counts = Object.fromEntries(tenants.map((tenant) => [tenant, claimed.filter((one) => one === tenant).length]));
  expect(claimed).toHaveLength(16);
  expect(counts).toEqual({ big: 4, small: 4, double: 8 });
});
