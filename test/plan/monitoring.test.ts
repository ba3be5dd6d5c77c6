import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });
const claim = async (executionId: string, who = first) => (await rig.claim(who, executionId))['lease']!;
const finish = async (executionId: string) => rig.complete(first, await claim(executionId));
const goals = (planId: string) =>
  rig.field(
    alice,
    `query ($id: ID!) { plan(planId: $id) {
      milestones { id name status targetDate targetMs forecastDate achievedAt stepIds successCriteria }
      objectives { id description task priority status progress stepIds successCriteria }
      riskAssessment { overall score combined risks { name level category status contingency } } } }`,
    { id: planId },
  );
const report = async (executionId: string) =>
  (
    await rig.field(
      alice,
      `query ($id: ID!) { planExecution(executionId: $id) { report { health estimatedCompletion deadline pace
        alerts { kind stepId message } deviations { stepId startDelayMs finishDelayMs progressGap costOverrun }
        resourceUsage { resourceId used capacity }
        metrics { attempts failures rollbacks completed skipped failed blocked ready meanStepMs utilisation } } } }`,
      { id: executionId },
    )
  )['report']!;
const named = (list: Json, name: string) => list.find((entry) => String(entry['name']) === name);
/** As if the run had begun so long ago, and all that has happened in it as well. */
const shift = async (executionId: string, ms: number) => {
  const back = `interval '${ms} milliseconds'`;
  await rig.sql.unsafe(`UPDATE plan.execution SET started_at = started_at - ${back} WHERE id = '${executionId}'`);
  await rig.sql.unsafe(
    `UPDATE plan.step_execution SET started_at = started_at - ${back}, finished_at = finished_at - ${back}, lease_until = lease_until + ${back} WHERE execution_id = '${executionId}'`,
  );
  await rig.sql.unsafe(
    `UPDATE plan.step s SET started_at = s.started_at - ${back}, completed_at = s.completed_at - ${back} FROM plan.execution e WHERE e.id = '${executionId}' AND s.plan_id = e.plan_id`,
  );
};

test('milestones are upcoming, at risk, missed or achieved by what has become of their steps', async () => {
  const [a, b, gate] = [newId(), newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [
      step(a),
      step(b, { dependsOn: [a] }),
      step(gate, { type: 'MILESTONE', name: 'gate', durationMs: 0, deadlineMs: 3 * hour, dependsOn: [b] }),
    ],
    milestones: [
      { name: 'early', stepIds: [a], targetMs: hour / 2, successCriteria: ['it stands'] },
      { name: 'roomy', id: 'm2', stepIds: [b], targetMs: 4 * hour },
      { name: 'gone', stepIds: [b], targetDate: '2020-01-01T00:00:00.000Z' },
      { name: 'all' },
    ],
  });
  const begun = (await goals(planId))['milestones']!;
  expect(begun.map(({ name, status }) => [String(name), String(status)])).toEqual([
    ['early', 'AT_RISK'],
    ['roomy', 'UPCOMING'],
    ['gone', 'MISSED'],
    ['all', 'UPCOMING'],
    ['gate', 'UPCOMING'],
  ]);
  expect(begun.map(({ id }) => String(id))).toEqual(['milestone-1', 'm2', 'milestone-3', 'milestone-4', gate]);
  expect(named(begun, 'early')).toMatchObject({ achievedAt: null, successCriteria: ['it stands'] });
  const ahead = Date.parse(String(named(begun, 'early')['forecastDate'])) - Date.now();
  expect(Math.abs(ahead - hour)).toBeLessThan(60_000);
  // Its first step took three times as long as planned: what is left will too.
  await claim(executionId).then(async (lease) => {
    await shift(executionId, 3 * hour);
    await rig.complete(first, lease);
  });
  const later = (await goals(planId))['milestones']!;
  expect(named(later, 'early')).toMatchObject({
    status: 'ACHIEVED',
    forecastDate: null,
    achievedAt: expect.any(String),
  });
  expect(named(later, 'roomy')['status']).toBe('AT_RISK');
  const left = Date.parse(String(named(later, 'roomy')['forecastDate'])) - Date.now();
  expect(Math.abs(left - 3 * hour)).toBeLessThan(120_000);
  expect(named(later, 'gate')['status']).toBe('MISSED');
  await finish(executionId);
  await finish(executionId);
  expect((await goals(planId))['milestones']!.map(({ status }) => String(status))).toEqual(Array(5).fill('ACHIEVED'));
});

test('objectives tell the progress of their steps, by duration', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [step(a), step(b, { durationMs: 3 * hour, dependsOn: [a] }), step(c, { dependsOn: [b] })],
    objectives: [
      { objectiveId: 'o1', description: 'walls', priority: 'HIGH', stepIds: [a, b], successCriteria: ['straight'] },
      { description: 'roof' },
      { task: 'garden', stepIds: [c] },
    ],
    failureResolver: { strategies: [] },
  });
  expect((await goals(planId))['objectives']).toMatchObject([
    { id: 'o1', description: 'walls', priority: 'HIGH', status: 'PENDING', progress: 0, successCriteria: ['straight'] },
    { id: 'objective-2', description: 'roof', status: 'PENDING', stepIds: [a, b, c] },
    { id: 'objective-3', description: 'garden', task: 'garden', stepIds: [c] },
  ]);
  await finish(executionId);
  expect((await goals(planId))['objectives']).toMatchObject([
    { status: 'IN_PROGRESS', progress: 0.25 },
    { status: 'IN_PROGRESS', progress: 0.2 },
    { status: 'PENDING', progress: 0 },
  ]);
  await finish(executionId);
  await rig.fail(first, await claim(executionId), { message: 'no' });
  expect((await goals(planId))['objectives']).toMatchObject([
    { status: 'ACHIEVED', progress: 1 },
    { status: 'FAILED', progress: 0.8 },
    { status: 'FAILED', progress: 0 },
  ]);
});

test('risks have levels, and the plan that of its worst open one', async () => {
  const planId = await rig.createPlan({
    steps: [step(newId())],
    risks: [
      { name: 'rain', category: 'EXTERNAL', probability: 0.5, impact: 0.4, contingency: 'a tent' },
      { name: 'flood', probability: 0.9, impact: 0.9, status: 'CLOSED' },
      { name: 'wind', probability: 0.1, impact: 0.1, status: 'MITIGATED' },
    ],
  });
  const { riskAssessment } = await goals(planId);
  expect(riskAssessment).toMatchObject({
    overall: 'HIGH',
    risks: [
      { name: 'rain', level: 'HIGH', category: 'EXTERNAL', status: 'IDENTIFIED', contingency: 'a tent' },
      { name: 'flood', level: 'LOW', category: null, status: 'CLOSED' },
      { name: 'wind', level: 'LOW', status: 'MITIGATED' },
    ],
  });
  expect(Number(riskAssessment!['score'])).toBeCloseTo((0.2 + 0.01) / 2, 12);
  expect(Number(riskAssessment!['combined'])).toBeCloseTo(1 - 0.8 * 0.99, 12);
});

test('milestones and objectives of the wrong form, or of steps that are not there, are refused', async () => {
  const [a] = [newId()];
  const create = (input: object) => rig.createPlan({ steps: [step(a)], ...input });
  await expect(create({ milestones: [{ name: '' }] })).rejects.toThrow('milestones.0.name');
  await expect(create({ milestones: [{ name: 'x', targetDate: 'soon' }] })).rejects.toThrow(
    'expected an ISO 8601 date-time',
  );
  const both = { name: 'x', targetMs: 1, targetDate: '2999-01-01T00:00:00.000Z' };
  await expect(create({ milestones: [both] })).rejects.toThrow('expected targetDate or targetMs');
  await expect(create({ milestones: ['x', 'x'].map((id) => ({ id, name: id })) })).rejects.toThrow(
    'each milestone once',
  );
  await expect(create({ milestones: [{ name: 'x', stepIds: [newId()] }] })).rejects.toThrow('is not in this plan');
  await expect(create({ objectives: [{ task: 'x', stepIds: ['all'] }] })).rejects.toThrow('objectives.0.stepIds');
  await expect(create({ objectives: [{ priority: 'LOW' }] })).rejects.toThrow('expected a description, a task or both');
  await expect(create({ objectives: [{ description: 'x', arguments: {} }] })).rejects.toThrow('arguments of a task');
  await expect(
    create({
      objectives: ['x', 'objective-1'].map((objectiveId, at) => ({
        description: 'x',
        ...(at === 1 && { objectiveId }),
      })),
    }),
  ).rejects.toThrow('each objective once');
  const planId = await create({});
  const update = (patch: object) =>
    rig.field(
      alice,
      'mutation ($id: ID!, $patch: PlanPatch!) { updatePlan(planId: $id, patch: $patch) { userErrors { code path } } }',
      { id: planId, patch },
    );
  expect(await update({ objectives: [{ description: 'x', stepIds: [newId()] }] })).toMatchObject({
    userErrors: [{ code: 'VALIDATION_FAILED', path: ['patch', 'objectives'] }],
  });
  expect(await update({ objectives: [{ description: 'x', stepIds: [a] }] })).toMatchObject({ userErrors: [] });
});

test('a run reports its health, when it would end, what keeps it and what it uses', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const { executionId } = await rig.startPlan(
    {
      steps: [
        step(a, { demands: [{ resourceId: 'crane', amount: 2 }], costPerHour: 60 }),
        step(b, { dependsOn: [a], assignedAgents: ['agent-3'] }),
        step(c, { assignedAgents: ['agent-2'] }),
      ],
      resources: [{ id: 'crane', capacity: 3 }],
      deadlineMs: 3 * hour,
      maxConcurrentTasks: 4,
      failureResolver: { strategies: ['MANUAL_INTERVENTION'] },
    },
    { leaseMs: hour },
  );
  const lease = await claim(executionId);
  const healthy = await report(executionId);
  expect(healthy).toMatchObject({
    ...{ health: 'HEALTHY', pace: 1, alerts: [] },
    resourceUsage: [{ resourceId: 'crane', used: 2, capacity: 3 }],
    metrics: { attempts: 1, failures: 0, completed: 0, ready: 1, meanStepMs: null, utilisation: 0.25 },
  });
  expect(Math.abs(Date.parse(String(healthy['estimatedCompletion'])) - Date.now() - 2 * hour)).toBeLessThan(60_000);
  // Half an hour later than it should be done.
  await shift(executionId, 1.5 * hour);
  const late = await report(executionId);
  expect(late['health']).toBe('UNHEALTHY');
  expect(late['alerts']!.map(({ kind, stepId }) => [String(kind), stepId as unknown])).toEqual([
    ['DEADLINE_AT_RISK', null],
    ['STEP_OVERDUE', a],
  ]);
  expect(late['deviations']!.map(({ stepId }) => String(stepId)).sort()).toEqual([a, b, c].sort());
  const deviation = late['deviations']!.find(({ stepId }) => String(stepId) === a);
  expect(deviation).toMatchObject({ startDelayMs: expect.any(Number), progressGap: -1 });
  expect(Math.abs(Number(deviation['costOverrun']) - 90)).toBeLessThan(2);
  await rig.complete(first, lease);
  await rig.fail(second, await claim(executionId, second), { message: 'no key' });
  const blocked = await report(executionId);
  expect(blocked).toMatchObject({ health: 'UNHEALTHY', metrics: { completed: 1, blocked: 1, failures: 1 } });
  expect(Math.abs(Number(blocked['pace']) - 1.5)).toBeLessThan(0.05);
  expect(blocked['alerts']!.find(({ kind }) => String(kind) === 'STEP_BLOCKED')).toMatchObject({ stepId: c });
  await rig.ask(alice, 'mutation ($id: ID!) { cancelExecution(executionId: $id) { userErrors { code } } }', {
    id: executionId,
  });
  expect(await report(executionId)).toMatchObject({ estimatedCompletion: null, alerts: [], health: 'HEALTHY' });
});

test('a paused run and one that has failed once are at risk', async () => {
  const { executionId } = await rig.startPlan({
    steps: [step(newId())],
    failureResolver: { strategies: ['RETRY'], delayMs: 60_000 },
  });
  await rig.fail(first, await claim(executionId), { message: 'again' });
  expect(await report(executionId)).toMatchObject({
    health: 'AT_RISK',
    alerts: [{ kind: 'STEP_RETRYING', message: 'it has failed 1 times: again' }],
  });
  await rig.ask(
    alice,
    'mutation ($id: ID!) { pauseExecution(executionId: $id, reason: "lunch") { userErrors { code } } }',
    { id: executionId },
  );
  expect(await report(executionId)).toMatchObject({
    health: 'AT_RISK',
    alerts: [{ kind: 'RUN_PAUSED', message: 'lunch' }, { kind: 'STEP_RETRYING' }],
  });
});
