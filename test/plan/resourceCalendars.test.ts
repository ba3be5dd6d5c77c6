import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const demands = [{ resourceId: 'ann', amount: 1 }];
/** Ann works three hours, from the second on, and again from the tenth on. */
const shifts = [
  { fromMs: hour, capacity: 1 },
  { fromMs: 4 * hour, capacity: 0 },
  { fromMs: 10 * hour, capacity: 1 },
];
const ann = (calendar: readonly object[] = shifts) => [{ id: 'ann', capacity: 0, calendar }];
const work = (id: string, more: object = {}) => ({ id, description: id, durationMs: 2 * hour, demands, ...more });
const chain = (more: object = {}) => {
  const [a, b] = [newId(), newId()];
  return { a, b, plan: { resources: ann(), steps: [work(a), work(b, { dependsOn: [a] })], ...more } };
};
const summaryOf = async (planId: string) =>
  (await rig.field(
    alice,
    `query ($id: ID!) { plan(planId: $id) { resources { id capacity calendar { fromMs capacity } }
         summary { durationMs criticalPath feasible reasons { reason stepId resourceId earliestFinishMs } } } }`,
    { id: planId },
  ))!;

test('a plan takes as long as the hours of its resources make it', async () => {
  const { a, b, plan } = chain();
  const planId = await rig.createPlan(plan);
  expect(await summaryOf(planId)).toEqual({
    resources: [{ id: 'ann', capacity: 0, calendar: shifts }],
    // The first step may begin an hour later than it does: only the second holds up the plan.
    summary: { durationMs: 12 * hour, criticalPath: [b], feasible: true, reasons: [] },
  });
  const analyze = (more: string, fields: string) =>
    rig.field(alice, `query ($id: ID!) { planAnalysis(planId: $id${more}) { ${fields} } }`, { id: planId });
  const { steps } = await analyze('', 'steps { stepId esMs lsMs totalFloatMs }');
  expect(steps).toEqual([
    { stepId: a, esMs: hour, lsMs: 2 * hour, totalFloatMs: hour },
    { stepId: b, esMs: 10 * hour, lsMs: 10 * hour, totalFloatMs: 0 },
  ]);
  const analysis = await analyze(
    `, deadlineMs: ${11 * hour}`,
    `makespanMs scheduledMakespanMs deadlineProbability
       percentiles { share finishMs } utilisation { resourceId capacity peak utilization }`,
  );
  expect(analysis).toMatchObject({ makespanMs: 12 * hour, scheduledMakespanMs: 12 * hour });
  // It begins in the tenth hour at the earliest, whatever the first step takes.
  for (const { finishMs } of analysis['percentiles'] as unknown as { finishMs: number }[])
    expect(finishMs).toBeGreaterThan(11 * hour);
  expect(Number(analysis['deadlineProbability'])).toBeLessThan(0.05);
  // Four hours of work in five hours of Ann.
  expect(analysis['utilisation']).toMatchObject([{ resourceId: 'ann', capacity: 1, peak: 1, utilization: 0.8 }]);
});

test('a deadline that the hours do not leave, and hours that are too short, make a plan infeasible', async () => {
  const late = chain({ deadlineMs: 11 * hour });
  expect((await summaryOf(await rig.createPlan(late.plan)))['summary']).toMatchObject({
    feasible: false,
    reasons: [{ reason: 'DEADLINE_BEFORE_LONGEST_PATH', earliestFinishMs: 12 * hour }],
  });
  const short = newId();
  const planId = await rig.createPlan({
    resources: ann(shifts.slice(0, 2)),
    deadlineMs: 20 * hour,
    steps: [work(short, { durationMs: 4 * hour })],
  });
  expect((await summaryOf(planId))['summary']).toMatchObject({
    feasible: false,
    reasons: [
      { reason: 'WORK_ABOVE_CAPACITY', resourceId: 'ann', earliestFinishMs: null },
      { reason: 'CALENDAR_TOO_SHORT', stepId: short },
    ],
  });
  const checks = await rig.field(
    alice,
    'query ($id: ID!) { validatePlan(planId: $id) { problems { severity code message stepIds } } }',
    { id: planId },
  );
  expect(checks['problems']!.map(({ message }) => String(message))).toContain('calendar too short');
});

test('schedules and dry runs keep them, and a limit of a run takes their place', async () => {
  const { a, b, plan } = chain();
  const planId = await rig.createPlan(plan);
  const optimized = await rig.field(
    alice,
    'mutation ($id: ID!) { optimizePlan(input: { planId: $id, iterations: 100 }) { after { makespanMs } criticalPath userErrors { code } } }',
    { id: planId },
  );
  expect(optimized).toMatchObject({ after: { makespanMs: 12 * hour }, criticalPath: [b], userErrors: [] });
  const dryRun = (more: object = {}) =>
    rig.field(
      alice,
      'mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { makespanMs schedule { stepId startMs } userErrors { code message } } }',
      { input: { planId, dryRun: true, ...more } },
    );
  expect(await dryRun()).toMatchObject({
    makespanMs: 12 * hour,
    schedule: [
      { stepId: a, startMs: hour },
      { stepId: b, startMs: 10 * hour },
    ],
  });
  expect(await dryRun({ resourceLimits: [{ resourceId: 'ann', capacity: 1 }] })).toMatchObject({
    makespanMs: 4 * hour,
  });
  const nights = [{ resourceId: 'ann', capacity: 0, calendar: [{ fromMs: 20 * hour, capacity: 1 }] }];
  expect(await dryRun({ resourceLimits: nights })).toMatchObject({ makespanMs: 24 * hour });
  const never = [{ resourceId: 'ann', capacity: 0, calendar: shifts.slice(0, 2) }];
  expect(await dryRun({ resourceLimits: never })).toMatchObject({
    userErrors: [{ code: 'RESOURCE_ALLOCATION_FAILED', message: expect.stringContaining(b) }],
  });
});

/** As if the run had begun so long ago. */
const shift = (executionId: string, hours: number) =>
  rig.sql.unsafe(
    `UPDATE plan.execution SET started_at = started_at - interval '${hours} hours' WHERE id = '${executionId}'`,
  );

test('a run hands out a step when what it needs is there for all of it, and says when it would end', async () => {
  const { a, plan } = chain({ deadlineMs: 11.5 * hour });
  const { planId, executionId } = await rig.startPlan(plan);
  const [agent] = agents;
  const estimate = async () => {
    const { report } = (await rig.field(
      alice,
      'query ($id: ID!) { planExecution(executionId: $id) { startedAt report { estimatedCompletion health alerts { kind } } } }',
      { id: executionId },
    )) as unknown as { report: { estimatedCompletion: string; health: string; alerts: { kind: string }[] } };
    return { ...report, inHours: Math.round((Date.parse(report.estimatedCompletion) - Date.now()) / 36_000) / 100 };
  };
  expect((await rig.claim(agent!, executionId))['lease']).toBeNull();
  expect(await estimate()).toMatchObject({ inHours: 12, health: 'UNHEALTHY', alerts: [{ kind: 'DEADLINE_AT_RISK' }] });
  await shift(executionId, 1.5);
  expect((await estimate()).inHours).toBe(10.5);
  const claimed = (await rig.claim(agent!, executionId))['lease']!;
  expect(claimed['stepId']).toBe(a);
  await rig.complete(agent!, claimed);
  // Ann leaves in the fourth hour: two hours of work are not begun in the second half of the third.
  await shift(executionId, 1);
  expect((await rig.claim(agent!, executionId))['lease']).toBeNull();
  const milestones = await rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { timeline { estimatedEnd } } }', {
    id: planId,
  });
  // What is left is taken to go ten times as fast, as the first step did.
  expect(Math.round((Date.parse(String(milestones['timeline']!['estimatedEnd'])) - Date.now()) / 360_000) / 10).toBe(
    7.7,
  );
  await shift(executionId, 8);
  expect((await rig.claim(agent!, executionId))['lease']).not.toBeNull();
});

test('hours count from the start of the timeline, and the door knows them', async () => {
  const { plan } = chain({ timeline: { start: new Date(Date.now() - 10 * hour).toISOString() } });
  const planId = await rig.createPlan({ ...plan, steps: plan.steps.slice(0, 1) });
  const found = await rig.field(
    alice,
    'mutation ($id: ID!) { executePlan(input: { planId: $id, dryRun: true }) { makespanMs userErrors { code } } }',
    { id: planId },
  );
  // Ann has come back.
  expect(found).toMatchObject({ makespanMs: 2 * hour, userErrors: [] });
  const change = (calendar: readonly object[] | null) =>
    rig.field(
      alice,
      'mutation ($id: ID!, $resources: [PlanResourceInput!]) { updatePlan(planId: $id, patch: { resources: $resources }) { plan { summary { durationMs } } userErrors { code path } } }',
      { id: planId, resources: [{ id: 'ann', capacity: 1, calendar }] },
    );
  expect(await change(null)).toMatchObject({ plan: { summary: { durationMs: 2 * hour } }, userErrors: [] });
  expect(await change(shifts.slice(1))).toMatchObject({ plan: { summary: { durationMs: 2 * hour } } });
  expect((await change(shifts.toReversed()))['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});
