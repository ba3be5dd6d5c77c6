import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const fields = `resources { id capacity unit costPerHour maxAdded } deadlineMs maxConcurrentTasks customData
  approval { approverRoles approvers quorum required }
  failureResolver { enabled strategies maxAttempts delayMs backoffFactor maxDelayMs rollbackDepth checkpointFrequency lapsesCount
    manualTimeoutMs skipDependents approvalRequired escalationLevels { afterMs approverRoles approvers } }
  steps { id estimate { optimisticMs mostLikelyMs pessimisticMs } earliestStartMs deadlineMs demands { resourceId amount availability } costPerHour
    crash { minDurationMs costPerHour } timeoutMs }`;
const planOf = (id: string) => rig.field(alice, `query ($id: ID!) { plan(planId: $id) { ${fields} } }`, { id });

test('what a plan and its steps are given is told by type, what they are not with its defaults', async () => {
  const [full, bare] = [newId(), newId()];
  const planId = await rig.createPlan({
    resources: [{ id: 'crew', capacity: 2, unit: 'people', costPerHour: 5, maxAdded: 1 }],
    deadlineMs: 9 * hour,
    maxConcurrentTasks: 7,
    customData: { colour: 'blue' },
    approval: { approverRoles: ['lead'], approvers: ['bob'], quorum: 'AT_LEAST', required: 2 },
    failureResolver: {
      strategies: ['SKIP'],
      maxAttempts: 5,
      manualTimeoutMs: hour,
      escalationLevels: [{ afterMs: 2 * hour, approvers: ['carol'] }],
    },
    steps: [
      {
        ...{ id: full, description: 'full', durationMs: 2 * hour, earliestStartMs: hour, deadlineMs: 8 * hour },
        estimate: { optimisticMs: hour, mostLikelyMs: 2 * hour, pessimisticMs: 4 * hour },
        demands: [{ resourceId: 'crew', amount: 1 }],
        ...{ costPerHour: 40, crash: { minDurationMs: hour, costPerHour: 90 }, timeoutMs: 3 * hour },
      },
      { id: bare, description: 'bare' },
    ],
  });
  expect(await planOf(planId)).toEqual({
    resources: [{ id: 'crew', capacity: 2, unit: 'people', costPerHour: 5, maxAdded: 1 }],
    ...{ deadlineMs: 9 * hour, maxConcurrentTasks: 7, customData: { colour: 'blue' } },
    approval: { approverRoles: ['lead'], approvers: ['bob'], quorum: 'AT_LEAST', required: 2 },
    failureResolver: {
      ...{ enabled: true, strategies: ['SKIP'], maxAttempts: 5, delayMs: 1_000, backoffFactor: 2, maxDelayMs: 60_000 },
      ...{ rollbackDepth: 1, checkpointFrequency: null, lapsesCount: true, manualTimeoutMs: hour },
      ...{ skipDependents: false, approvalRequired: true },
      escalationLevels: [{ afterMs: 2 * hour, approverRoles: [], approvers: ['carol'] }],
    },
    steps: [
      {
        ...{ id: full, earliestStartMs: hour, deadlineMs: 8 * hour, costPerHour: 40, timeoutMs: 3 * hour },
        estimate: { optimisticMs: hour, mostLikelyMs: 2 * hour, pessimisticMs: 4 * hour },
        demands: [{ resourceId: 'crew', amount: 1, availability: 'REQUIRED' }],
        crash: { minDurationMs: hour, costPerHour: 90 },
      },
      {
        ...{ id: bare, earliestStartMs: null, deadlineMs: null, costPerHour: null, timeoutMs: null },
        ...{ estimate: null, demands: [], crash: null },
      },
    ],
  });
});

test('a plan without any of it says what it goes by', async () => {
  const planId = await rig.createPlan({ steps: [{ description: 'only' }] });
  expect(await planOf(planId)).toMatchObject({
    ...{ resources: [], deadlineMs: null, approval: null, customData: null, maxConcurrentTasks: 50 },
    failureResolver: { enabled: true, strategies: ['RETRY', 'MANUAL_INTERVENTION'], escalationLevels: [] },
  });
});
