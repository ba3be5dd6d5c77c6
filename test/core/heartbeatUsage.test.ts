import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, type CoreRig, command, errors, type Json, openCoreRig, principal, stepOf } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
  const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { ${errors} } }`;
  await rig.field(alice, putNode, { input: { name: 'n', capacity: { cpuCores: 20, memoryMb: 1_000 } } });
});
afterAll(() => rig[Symbol.asyncDispose]());

const row = 'id epoch status overuse usage { current { cpuCores } peak { cpuCores memoryMb } }';
const renew = `mutation ($id: ID!, $epoch: Int!, $usage: CoreResourcesInput) { renewAllocation(allocationId: $id, epoch: $epoch, usage: $usage) { allocation { ${row} } ${errors} } }`;
const heartbeat = `mutation ($id: ID!, $step: String!, $usage: CoreResourcesInput) { heartbeatWorkflowStep(executionId: $id, stepId: $step, usage: $usage) { ${errors} } }`;
const stepsOf = `query ($id: ID!) { workflowExecution(executionId: $id) { steps { stepId allocation { ${row} } } } }`;
const usedText =
  'peak { cpuCores memoryMb } usedPeak { cpuCores memoryMb } resourceSeconds { cpuCores } usedSeconds { cpuCores } durationMs';
const validate = `query ($definition: CoreWorkflowDefinitionInput!) { validateWorkflow(definition: $definition) { plan { estimate { ${usedText} steps { stepId used { cpuCores memoryMb } } } } } }`;

test('whoever renews a lease tells what it uses with it, or nothing at all happens', async () => {
  const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id } ${errors} } }`;
  const { allocation } = await rig.field(alice, allocate, { input: { requirements: { cpuCores: 2, memoryMb: 100 } } });
  const id = String(allocation!['id']);
  const say = (epoch: number, usage?: object) => rig.field(alice, renew, { id, epoch, usage });
  expect(await say(1, { cpuCores: 1, memoryMb: 80 })).toMatchObject({
    allocation: { epoch: 2, usage: { current: { cpuCores: 1 }, peak: { cpuCores: 1, memoryMb: 80 } }, overuse: [] },
  });
  expect(await say(2, { cpuCores: 3 })).toMatchObject({
    allocation: {
      epoch: 3,
      usage: { current: { cpuCores: 3 }, peak: { cpuCores: 3, memoryMb: 80 } },
      overuse: ['cpuCores'],
    },
  });
  expect(rig.events.filter(({ type }) => type === 'allocation.overused')).toHaveLength(1);
  expect(await say(3, { cpuCores: -1 })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  expect(await say(3, { cpuCores: 1e13 })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  expect(await say(2, { cpuCores: 9 })).toMatchObject({ userErrors: [{ code: 'LEASE_LOST' }] });
  expect(await say(3)).toMatchObject({ allocation: { epoch: 4, usage: { peak: { cpuCores: 3 } } } });
});

test('heartbeats of a step that holds resources tell what it uses, by which the next is estimated', async () => {
  const crunch = (signal: string, more: object = {}) => ({
    ...{ stepId: 'w', kind: 'SIGNAL', signal, heartbeatMs: 60_000 },
    ...{ resources: { requirements: { cpuCores: 8, memoryMb: 100 } }, ...more },
  });
  const id = await rig.start({
    steps: [crunch('crunched'), { stepId: 'free', kind: 'SIGNAL', signal: 'x', heartbeatMs: 60_000 }],
  });
  await rig.untilTrue(id, (execution) => String(stepOf(execution, 'w')['waitsFor']) === 'signal:crunched');
  const beat = (step: string, usage: object, who = alice) => rig.field(who, heartbeat, { id, step, usage });
  expect(await beat('w', { cpuCores: 2 })).toEqual({ userErrors: [] });
  expect(await beat('w', { cpuCores: 5 })).toEqual({ userErrors: [] });
  expect(await beat('w', { cpuCores: 0.5 })).toEqual({ userErrors: [] });
  expect(await beat('w', { cpuCores: -1 })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  expect(await beat('free', { cpuCores: 1 })).toMatchObject({ userErrors: [{ code: 'INVALID_STATE' }] });
  expect(await beat('w', { cpuCores: 1 }, principal('eve', { tenantId: 'two' }))).toMatchObject({
    userErrors: [{ code: 'NOT_FOUND' }],
  });
  const { steps } = await rig.field(alice, stepsOf, { id });
  expect(steps!.find(({ stepId }) => String(stepId) === 'w')['allocation']).toMatchObject({
    ...{ status: 'ACTIVE', overuse: [], usage: { current: { cpuCores: 0.5 }, peak: { cpuCores: 5, memoryMb: 0 } } },
  });
  const signal =
    'mutation ($id: ID!, $name: String!) { signalWorkflow(executionId: $id, signal: { name: $name }) { userErrors { code } } }';
  await rig.field(alice, signal, { id, name: 'crunched' });
  await rig.untilTrue(id, (execution) => String(stepOf(execution, 'w')['status']) === 'COMPLETED');
  await rig.field(alice, command('cancelWorkflow'), { id });
  await rig.service.durations.flush();

  const estimate = async (signalName: string): Promise<Json> => {
    const definition = { steps: [crunch(signalName)] };
    return (await rig.field(alice, validate, { definition }))['plan']!['estimate']!;
  };
  const measured = await estimate('crunched');
  expect(measured).toMatchObject({ peak: { cpuCores: 8, memoryMb: 100 } });
  const {
    usedPeak,
    usedSeconds,
    resourceSeconds,
    steps: own,
  } = measured as unknown as {
    usedPeak: { cpuCores: number; memoryMb: number };
    usedSeconds: { cpuCores: number };
    resourceSeconds: { cpuCores: number };
    steps: { used: object }[];
  };
  // Recorded to a fortieth.
  expect(Math.abs(usedPeak.cpuCores - 5)).toBeLessThan(5 / 40);
  expect(usedPeak.memoryMb).toBe(0);
  expect(own[0]!.used).toEqual(usedPeak);
  expect(usedSeconds.cpuCores / resourceSeconds.cpuCores).toBeCloseTo(usedPeak.cpuCores / 8, 5);
  // Of what nobody said anything of it is what is asked for.
  expect(await estimate('unheard')).toMatchObject({ usedPeak: { cpuCores: 8, memoryMb: 100 } });
});
