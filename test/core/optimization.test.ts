import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findMoves } from '../../subgraphs/core/allocation/rebalance.ts';
import { erlangC, forecastWait, meanWaitMs, replayWaitMs } from '../../subgraphs/core/optimization/queueing.ts';
import { alice, type CoreRig, errors, executeWorkflow, type Json, made, openCoreRig, principal, task } from './rig.ts';

describe('queues', () => {
  test('Erlang C and the wait of M/M/c are those of the tables', () => {
    expect(erlangC(1, 0.5)).toBeCloseTo(0.5, 10);
    expect(erlangC(2, 1)).toBeCloseTo(1 / 3, 10);
    expect(erlangC(10, 8)).toBeCloseTo(0.409, 3);
    // M/M/1 at half load waits as long as it serves; with even services (M/D/1) half as long.
    expect(meanWaitMs({ servers: 1, perMs: 0.005, serviceMs: 100, variation: 1 })).toBeCloseTo(100, 9);
    expect(meanWaitMs({ servers: 1, perMs: 0.005, serviceMs: 100, variation: 0 })).toBeCloseTo(50, 9);
    expect(meanWaitMs({ servers: 1, perMs: 0.01, serviceMs: 100, variation: 1 })).toBe(Number.POSITIVE_INFINITY);
  });
  test('what a window cannot serve stands before the next one', () => {
    const window = (arrived: number) => ({ lengthMs: 1_000, arrived, served: 20, serviceMs: 2_000 });
    const one = forecastWait([window(20), window(0)], 1, 0);
    expect(one.waitMs).toBeCloseTo(500, 0);
    expect(forecastWait([window(20), window(0)], 4, 0).waitMs).toBeLessThan(10);
  });
  test('a replay serves jobs in order on whoever is free first', () => {
    const jobs = [0, 0, 0, 0].map((arrivedMs) => ({ arrivedMs, serviceMs: 100 }));
    expect(replayWaitMs(jobs, 1)).toBe(150);
    expect(replayWaitMs(jobs, 2)).toBe(50);
    expect(replayWaitMs(jobs, 4)).toBe(0);
  });
});

test('leases make room where it is scattered, by the cheapest moves, and never past a node', () => {
  const node = (id: string, used: number) => ({
    ...{ id, labels: {}, capabilities: [], overcommit: 1, healthy: true },
    ...{ capacity: [10, 0, 0, 0, 0] as const, used: [used, 0, 0, 0, 0] as const },
  });
  const lease = (id: string, nodeId: string, cores: number, allocatedAtMs: number) => ({
    ...{ id, nodeId, owner: 'o', wanted: [cores, 0, 0, 0, 0] as const, capabilities: [], labels: {} },
    ...{ priority: 2, queuedAtMs: 0, preemptible: true, allocatedAtMs },
  });
  const request = { ...lease('wanted', '', 8, 0), queuedAtMs: 1 };
  const found = findMoves({
    nodes: [node('n1', 6), node('n2', 6), node('n3', 9)],
    queue: [request],
    // Four cores fit beside six; the older lease would cost more.
    movable: [lease('old', 'n1', 4, 0), lease('new', 'n2', 4, 900), lease('big', 'n3', 9, 900)],
    ...{ maxMoves: 5, nowMs: 1_000 },
  });
  expect(found).toMatchObject({ admitted: ['wanted'], moves: [{ allocationId: 'new', from: 'n2', to: 'n1' }] });
  expect(
    findMoves({ nodes: [node('n1', 6), node('n3', 9)], queue: [request], movable: [], maxMoves: 5, nowMs: 0 }),
  ).toEqual({ moves: [], admitted: [] });
});

describe('the system is tuned by what was measured', () => {
  let rig: CoreRig;
  const env = { CORE_METRIC_MS: '100', OPERATOR_TENANT: 'one' };
  const optimize = `mutation ($input: OptimizeCoreSystemInput!) { optimizeSystem(input: $input) { run { runId status scope expectedGain observations bottlenecks { resource targetId utilization saturation meanWaitMs blame } changes { knob target from to model predictedGain } guards { metric limit } } ${errors} } }`;
  const runQuery =
    'query ($id: ID!) { optimizationRun(runId: $id) { status applied rolledBack expectedGain measuredGain reason guards { metric before after breached } changes { knob measuredGain } } }';
  // Long beside what a busy machine adds to it: guards are breached by a quarter more.
  const serviceMs = 200;
  beforeAll(async () => {
    rig = await openCoreRig({ env, worker: { slots: 32, pollMs: 50 } });
    rig.answers.set('createContext', async () => {
      await new Promise((resolve) => setTimeout(resolve, serviceMs));
      return made('made');
    });
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  const bounded = (places: number) => rig.createWorkflow({ steps: [task('a')] }, { maxConcurrentExecutions: places });
  /** Executions that came at once and went by so many at a time, 80 ms each. */
  async function wrote(
    { sql }: CoreRig,
    burst: { workflowId: string; count: number; places: number; startMs: number },
  ): Promise<void> {
    await sql`WITH came AS (SELECT n, date_trunc('milliseconds', clock_timestamp()) + ${burst.startMs}::int * interval '1 millisecond' AS at, n / ${burst.places}::int AS row FROM generate_series(0, ${burst.count - 1}::int) n)
      INSERT INTO core.execution (tenant_id, id, workflow_id, workflow_version, body, status, priority, input, principal, total_steps, ended_steps, created_by, created_at, started_at, completed_at)
      SELECT 'one', gen_random_uuid(), ${burst.workflowId}, 1, '{}', 'completed', 2, '{}', '{}', 1, 1, 'alice', at, at + row * interval '80 milliseconds', at + (row + 1) * interval '80 milliseconds' FROM came`;
  }
  const ask = (input: object): Promise<Json> =>
    rig.field(alice, optimize, { input: { windowMs: 60_000, judgeAfterMs: 500, ...input } });
  async function untilOver(id: unknown): Promise<Json> {
    for (const end = Date.now() + 20_000; ; ) {
      const run = await rig.field(alice, runQuery, { id });
      if (String(run['status']) !== 'APPLIED') return run;
      if (Date.now() > end) throw new Error(`not judged: ${JSON.stringify(run)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const placesOf = async (id: string) =>
    (await rig.field(alice, 'query ($id: ID!) { workflow(workflowId: $id) { maxConcurrentExecutions } }', { id }))[
      'maxConcurrentExecutions'
    ];

  test('too little was measured', async () => {
    expect(await ask({ scope: ['WORKFLOWS'] })).toMatchObject({
      userErrors: [{ code: 'INSUFFICIENT_METRICS', path: ['input', 'windowMs'] }],
    });
    expect(await ask({ windowMs: 10 })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
    const other = principal('eve', { tenantId: 'three' });
    await expect(rig.field(other, optimize, { input: { scope: ['WORKERS'] } })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    const platform = '{ metricHistory(series: "pool.wait", since: "2026-01-01T00:00:00Z", platform: true) { mean } }';
    await expect(rig.field(other, platform)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('more places for a workflow: said, made, and the gain found', async () => {
    const workflowId = await bounded(1);
    await wrote(rig, { workflowId, count: 12, places: 1, startMs: -5_000 });
    const dry = await ask({ scope: ['WORKFLOWS'] });
    expect(dry).toMatchObject({
      userErrors: [],
      run: {
        status: 'PROPOSED',
        bottlenecks: [{ resource: 'workflow.executions', targetId: workflowId }],
        changes: [{ knob: 'workflow.executions', target: workflowId, from: '1', model: 'replay' }],
      },
    });
    expect(Number(dry['run']!['bottlenecks']![0]!['saturation'])).toBeGreaterThan(2);
    expect(await placesOf(workflowId)).toBe(1);
    const { run } = await ask({ scope: ['WORKFLOWS'], dryRun: false, judgeAfterMs: 2_000 });
    expect(run).toMatchObject({ status: 'APPLIED' });
    const places = Number(await placesOf(workflowId));
    expect(places).toBeGreaterThan(1);
    // As long as the places allow, whatever else the machine does: over before it is judged.
    await wrote(rig, { workflowId, count: 12, places, startMs: 0 });
    expect(await ask({ scope: ['WORKFLOWS'], dryRun: false })).toMatchObject({
      userErrors: [{ code: 'INVALID_STATE' }],
    });
    const over = await untilOver(run!['runId']);
    expect(over).toMatchObject({ status: 'KEPT', applied: true, rolledBack: false });
    // Of one place the mean of 12 is 6.5 times the service, of more that of as many rows after each other.
    const mean = Array.from({ length: 12 }, (_, n) => Math.floor(n / places) + 1).reduce((sum, n) => sum + n, 0) / 12;
    expect(Number(over['measuredGain'])).toBeCloseTo(1 - mean / 6.5, 2);
    expect(Number(over['expectedGain'])).toBeCloseTo(1 - mean / 6.5, 2);
  });

  test('a guard that worsens takes the change back; who made it need not live to see that', async () => {
    // Its own service never sweeps: as a process that ends right after its answer.
    await using lone = await openCoreRig({ env, works: false });
    let slowed = 0;
    let running = 0;
    lone.answers.set('createContext', async () => {
      running += 1;
      await new Promise((resolve) => setTimeout(resolve, 80 + (running - 1) * slowed));
      running -= 1;
      return made('made');
    });
    const workflowId = await lone.createWorkflow({ steps: [task('a')] }, { maxConcurrentExecutions: 1 });
    await wrote(lone, { workflowId, count: 12, places: 1, startMs: -5_000 });
    const input = { scope: ['WORKFLOWS'], dryRun: false, windowMs: 60_000, judgeAfterMs: 60_000 };
    const { run } = await lone.field(alice, optimize, { input });
    expect(run).toMatchObject({ status: 'APPLIED', changes: [{ from: '1', target: workflowId }] });
    const places = async () =>
      (await lone.sql`SELECT max_executions AS places FROM core.workflow WHERE id = ${workflowId}`)[0]!['places'];
    expect(await places()).toBe(Number(run!['changes']![0]!['to']));
    await lone.join();
    slowed = 150;
    const ids = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { execution } = await lone.field(alice, executeWorkflow, { input: { workflowId } });
        return String(execution!['id']);
      }),
    );
    for (const id of ids) await lone.until(id, 'COMPLETED');
    let over = await lone.field(alice, runQuery, { id: run!['runId'] });
    for (const end = Date.now() + 20_000; String(over['status']) === 'APPLIED' && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      over = await lone.field(alice, runQuery, { id: run!['runId'] });
    }
    expect(over).toMatchObject({ status: 'RETURNED', applied: true, rolledBack: true });
    expect(over['guards']!.find(({ metric }) => String(metric) === 'execution.run')).toMatchObject({ breached: true });
    expect(await places()).toBe(1);
  });

  test('leases are moved for a request that waits, and it is served', async () => {
    const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { node { id } ${errors} } }`;
    const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id status nodeId } ${errors} } }`;
    const lease = async (cpuCores: number, more: object = {}) =>
      (await rig.field(alice, allocate, { input: { requirements: { cpuCores }, durationMs: 600_000, ...more } }))[
        'allocation'
      ]!;
    const cores = { cpuCores: 10 };
    const [one] = [await rig.field(alice, putNode, { input: { name: 'n1', capacity: cores } })];
    const first = await lease(6);
    await rig.field(alice, putNode, { input: { name: 'n2', capacity: cores } });
    await lease(5);
    const movable = await lease(4, { preemptible: true });
    expect(movable['nodeId']).toBe(one!['node']!['id']);
    await rig.field(alice, `mutation ($id: ID!) { releaseResources(allocationId: $id) { ${errors} } }`, {
      id: first['id'],
    });
    const waiting = await lease(8, { queueIfFull: true });
    expect(waiting['status']).toBe('QUEUED');
    const { run } = await ask({ scope: ['ALLOCATIONS'], dryRun: false });
    expect(run).toMatchObject({
      ...{ status: 'APPLIED', expectedGain: 1 },
      changes: [{ knob: 'allocation.node', target: movable['id'], model: 'vector packing' }],
    });
    const read = 'query ($id: ID!) { allocation(allocationId: $id) { status epoch nodeId } }';
    expect(await rig.field(alice, read, { id: waiting['id'] })).toMatchObject({ status: 'ACTIVE' });
    // The lease that was moved is the same lease.
    const moved = await rig.field(alice, read, { id: movable['id'] });
    expect(moved).toMatchObject({ status: 'ACTIVE', epoch: 1 });
    expect(moved['nodeId']).not.toBe(movable['nodeId']);
    expect(await untilOver(run!['runId'])).toMatchObject({ status: 'KEPT', measuredGain: 1 });
  });

  test('workers get more slots where steps wait for one; the other process takes them too', async () => {
    await using small = await openCoreRig({ env, worker: { slots: 1, pollMs: 50 } });
    small.answers.set('createContext', async () => {
      await new Promise((resolve) => setTimeout(resolve, serviceMs));
      return made('made');
    });
    const wide = { steps: Array.from({ length: 10 }, (_, at) => task(`t${at}`)) };
    const work = async () => {
      for (let n = 0; n < 5; n += 1) await small.until(await small.start(wide), 'COMPLETED');
    };
    const other = await small.join();
    await work();
    const input = { scope: ['WORKERS'], dryRun: false, windowMs: 60_000, judgeAfterMs: 2_500 };
    const { run } = await small.field(alice, optimize, { input });
    expect(run).toMatchObject({ status: 'APPLIED', changes: [{ knob: 'worker.slots', from: '1', model: 'M/M/c' }] });
    const to = Number(run!['changes']![0]!['to']);
    for (const { settings } of [small.service, other])
      while (settings.current().slots !== to) await new Promise((resolve) => setTimeout(resolve, 50));
    await work();
    for (const end = Date.now() + 20_000; ; ) {
      const over = await small.field(alice, runQuery, { id: run!['runId'] });
      if (String(over['status']) !== 'APPLIED') {
        expect(over).toMatchObject({ status: 'KEPT', reason: null });
        expect(Number(over['measuredGain'])).toBeGreaterThan(0.2);
        break;
      }
      if (Date.now() > end) throw new Error(JSON.stringify(over));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const history = await small.field(
      alice,
      'query ($since: DateTime!) { metricHistory(series: "step.wait", since: $since, stepMs: 1000) { count mean } }',
      { since: new Date(Date.now() - 60_000).toISOString() },
    );
    expect(history.length).toBeGreaterThan(1);
  });
});
