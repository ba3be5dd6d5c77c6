import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { coreCodec } from '../../subgraphs/core/codec.ts';
import { coreSubscriptions } from '../../subgraphs/core/subscriptions.ts';
import { readObservabilityEvents } from '../../subgraphs/platform/protocol/observability.ts';
import { frozenOracle, frozenPresent } from '../conformance/frozen.ts';
import { type CoreRig, errors, type Json, openCoreRig, principal, task, typesOf } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ graceMs: 300 });
});
afterAll(() => rig[Symbol.asyncDispose]());

const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id status } ${errors} } }`;
const gang = `mutation ($input: AllocateCoreGangInput!) { allocateResourceGang(input: $input) { allocations { id } ${errors} } }`;
const release = `mutation ($id: ID!) { releaseResources(allocationId: $id) { ${errors} } }`;
const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { ${errors} } }`;
const setQuota = `mutation ($input: CoreQuotaInput!) { setQuota(input: $input) { ${errors} } }`;

/** What a follower of `systemEvents` hears of budgets of a tenant. */
async function heard(tenantId: string): Promise<readonly { type: string; data: Record<string, unknown> }[]> {
  const follower = coreSubscriptions['systemEvents']!;
  const args = { types: ['budget.*'] };
  const who = createPrincipal({ tenantId, subject: 'observer', scopes: ['*'] });
  const { decide } = await follower.admit(who, args, rig.runtime as never);
  const streamId = follower.streamId(args, who);
  return rig.events
    .filter((event) => event.streamId === streamId && event.type === 'system.told' && decide(event) === 'deliver')
    .map((event) => follower.payload!(event) as { type: string; data: Record<string, unknown> });
}
const exported = (tenantId: string, contextId: string) =>
  readObservabilityEvents({ sqlOf: () => rig.sql, codecs: new Map([['core', coreCodec]]) }, tenantId, {
    contextId,
    bundle: {},
  });

async function world(tenantId: string, quota: object) {
  const who = principal('alice', { tenantId });
  await rig.field(who, putNode, { input: { name: 'n', capacity: { cpuCores: 100, memoryMb: 1_000 } } });
  await rig.field(who, setQuota, { input: { owner: 'alice', ...quota } });
  const contextId = newId();
  rig.contexts.set(`${tenantId}/${contextId}`, 'ACTIVE');
  const get = async (cpuCores: number, more: object = {}) => {
    const answer = await rig.field(who, allocate, { input: { requirements: { cpuCores }, ...more } });
    return answer as unknown as { allocation: { id: string } | null; userErrors: { code: string }[] };
  };
  const giveBack = (id: string) => rig.field(who, release, { id });
  return { who, contextId, get, giveBack };
}

test('a quota above its soft limit is told once, until so much goes back that it no longer is', async () => {
  const tenantId = 'soft';
  const { get, giveBack, contextId } = await world(tenantId, { hard: { cpuCores: 10 }, soft: { cpuCores: 4 } });
  await get(4);
  expect(await heard(tenantId)).toEqual([]);
  const second = await get(1, { contextId });
  await get(1);
  expect(await heard(tenantId)).toMatchObject([
    {
      type: 'budget.warning',
      data: {
        budget: 'quota',
        owner: 'alice',
        resources: ['cpuCores'],
        used: { cpuCores: 5 },
        limit: { cpuCores: 4 },
      },
    },
  ]);
  const third = await get(1);
  await giveBack(third.allocation!.id);
  expect(await heard(tenantId)).toHaveLength(1);
  await giveBack(second.allocation!.id);
  await giveBack((await get(2)).allocation!.id);
  // Five are left of it, which is still above: nothing new.
  expect(await heard(tenantId)).toHaveLength(1);
});

test('anew once it has fallen; without a soft limit a part of the hard one is near', async () => {
  const tenantId = 'hard';
  const { get, giveBack } = await world(tenantId, { hard: { cpuCores: 10 } });
  await get(9);
  expect(await heard(tenantId)).toEqual([]);
  const last = await get(1);
  expect(await heard(tenantId)).toMatchObject([{ data: { limit: { cpuCores: 9 }, used: { cpuCores: 10 } } }]);
  await giveBack(last.allocation!.id);
  await get(1);
  expect(await heard(tenantId)).toHaveLength(2);
  const none = await world('none', {});
  await none.get(50);
  expect(await heard('none')).toEqual([]);
});

test('a request that would pass it is told once, until its owner gives something back; a refusal stays one', async () => {
  const tenantId = 'passed';
  const { who, contextId, get, giveBack } = await world(tenantId, { hard: { cpuCores: 4 }, soft: { cpuCores: 4 } });
  const held = await get(3);
  for (const _ of [1, 2])
    expect(await get(2, { contextId })).toMatchObject({ userErrors: [{ code: 'QUOTA_EXCEEDED' }] });
  const members = [2, 2].map((cpuCores) => ({ requirements: { cpuCores } }));
  expect(await rig.field(who, gang, { input: { members } })).toMatchObject({
    userErrors: [{ code: 'QUOTA_EXCEEDED' }],
  });
  expect(await heard(tenantId)).toMatchObject([
    {
      type: 'budget.exceeded',
      data: {
        budget: 'quota',
        owner: 'alice',
        resources: ['cpuCores'],
        used: { cpuCores: 3 },
        requested: { cpuCores: 2 },
      },
    },
  ]);
  await giveBack(held.allocation!.id);
  await rig.field(who, gang, { input: { members: [...members, { requirements: { cpuCores: 1 } }] } });
  expect((await heard(tenantId)).map(({ type }) => type)).toEqual(['budget.exceeded', 'budget.exceeded']);
  const documents = await exported(tenantId, contextId);
  expect(documents).toMatchObject([
    {
      ...{ event_type: 'budget_exceeded', event_family: 'cost_budget', project_id: contextId },
      payload: { budget: 'quota', owner: 'alice' },
    },
  ]);
  expect(await exported('soft', contextId)).toEqual([]);
  if (frozenPresent)
    for (const document of documents)
      expect(frozenOracle()('events/mplp-event-core.schema.json', document)).toEqual([]);
});

test('steps that wait for a quota, and those it never allows, are told of as well', async () => {
  const tenantId = 'steps';
  const { who } = await world(tenantId, { hard: { cpuCores: 2 }, soft: { cpuCores: 2 } });
  const definition = { steps: [task('a', { resources: { requirements: { cpuCores: 3 } } })] };
  const execute = `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`;
  expect(await rig.field(who, execute, { input: { definition } })).toMatchObject({ userErrors: [] });
  await expect
    .poll(() => heard(tenantId), { timeout: 10_000 })
    .toMatchObject([{ type: 'budget.exceeded', data: { owner: 'alice', requested: { cpuCores: 3 } } }]);
});

test("an execution's time: told when it is nearly over and when it is, once each, and in the bundle of its context", async () => {
  const { contextId } = rig;
  const wait = { steps: [{ stepId: 'w', kind: 'SIGNAL', signal: 'never' }] };
  const id = await rig.start({ ...wait, timeoutMs: 2_000 }, { contextId });
  const quick = await rig.start({ steps: [{ stepId: 'p', kind: 'PASS' }], timeoutMs: 1_000 }, { contextId });
  const done: Json = await rig.until(id, 'TIMED_OUT');
  await rig.until(quick, 'COMPLETED');
  expect(typesOf(done).filter((type) => type.startsWith('workflow.'))).toEqual([
    ...['workflow.started', 'workflow.budget.warning', 'workflow.failing', 'workflow.timed.out'],
  ]);
  const data = { budget: 'time', executionId: id };
  expect(await heard('one')).toMatchObject([
    { type: 'budget.warning', data },
    { type: 'budget.exceeded', data },
  ]);
  const documents = await exported('one', contextId);
  const told = { event_family: 'cost_budget', project_id: contextId, payload: { budget: 'time', execution_id: id } };
  expect(documents).toMatchObject([
    { ...told, event_type: 'budget_warning' },
    { ...told, event_type: 'budget_exceeded' },
  ]);
  if (frozenPresent)
    for (const document of documents)
      expect(frozenOracle()('events/mplp-event-core.schema.json', document)).toEqual([]);
});
