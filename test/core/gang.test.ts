import { afterAll, beforeAll, expect, test } from 'vitest';
import { estimateWaits } from '../../subgraphs/core/allocation/estimate.ts';
import { type CoreRig, errors, openCoreRig, principal, stranger } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id status estimatedWaitMs } ${errors} } }`;
const gang = `mutation ($input: AllocateCoreGangInput!) { allocateResourceGang(input: $input) { allocations { id status nodeId requested { cpuCores } } ${errors} } }`;
const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { node { id } ${errors} } }`;
const setQuota = `mutation ($input: CoreQuotaInput!) { setQuota(input: $input) { ${errors} } }`;
const usage = '{ resourceUsage { used { cpuCores } owners { owner used { cpuCores } } } }';

async function world(tenantId: string, cores: readonly number[]) {
  const who = principal('alice', { tenantId });
  for (const [at, cpuCores] of cores.entries())
    await rig.field(who, putNode, { input: { name: `n${at}`, capacity: { cpuCores } } });
  return who;
}
const members = (...cores: readonly number[]) => cores.map((cpuCores) => ({ requirements: { cpuCores } }));

test('a gang is leased whole or not at all', async () => {
  const who = await world('gang', [4, 4]);
  const ask = (input: object, as = who) => rig.field(as, gang, { input });
  // The largest go first, whatever the order they are named in.
  const { allocations } = await ask({ members: members(1, 3, 3), idempotencyKey: 'whole' });
  expect(allocations!.map(({ status, requested }) => [String(status), Number(requested!['cpuCores'])])).toEqual([
    ['ACTIVE', 1],
    ['ACTIVE', 3],
    ['ACTIVE', 3],
  ]);
  expect(new Set(allocations!.map(({ nodeId }) => String(nodeId))).size).toBe(2);
  const again = await ask({ members: members(1, 3, 3), idempotencyKey: 'whole' });
  expect(again['allocations']!.map(({ id }) => id)).toEqual(allocations!.map(({ id }) => id));
  expect(await ask({ members: members(1, 1) })).toMatchObject({
    userErrors: [{ code: 'RESOURCE_ALLOCATION_FAILED', path: ['input', 'members', '1'] }],
  });
  expect(await ask({ members: members(1, 5) })).toMatchObject({
    userErrors: [{ code: 'NEVER_FITS', path: ['input', 'members', '1'] }],
  });
  // Of those that did not come to be nothing is held.
  expect(await rig.field(who, usage)).toMatchObject({
    used: { cpuCores: 7 },
    owners: [{ owner: 'alice', used: { cpuCores: 7 } }],
  });
  expect(await ask({ members: members(1) })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  expect(await ask({ members: members(1, 1) }, stranger)).toMatchObject({ userErrors: [{ code: 'NEVER_FITS' }] });
  const other = await world('gangquota', [10]);
  await rig.field(other, setQuota, { input: { owner: 'alice', hard: { cpuCores: 3 } } });
  expect(await ask({ members: members(2, 2) }, other)).toMatchObject({ userErrors: [{ code: 'QUOTA_EXCEEDED' }] });
  expect(await ask({ members: members(2, 1) }, other)).toMatchObject({ userErrors: [] });
});

test('gangs that ask at once never share what only one of them can have', async () => {
  const who = await world('gangs', [4, 4, 4]);
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => rig.field(who, gang, { input: { members: members(3, 3) } })),
  );
  expect(answers.filter(({ allocations }) => allocations !== null)).toHaveLength(1);
  expect(await rig.field(who, usage)).toMatchObject({ used: { cpuCores: 6 } });
});

test('who waits is told for how long, by the ends of leases', async () => {
  const who = await world('waits', [10]);
  const get = async (durationMs: number) =>
    (await rig.field(who, allocate, { input: { requirements: { cpuCores: 10 }, durationMs, preemptible: false } }))[
      'allocation'
    ]!;
  expect(await get(60_000)).toMatchObject({ status: 'ACTIVE', estimatedWaitMs: null });
  const [second, third] = [await get(120_000), await get(1_000)];
  expect(second['status']).toBe('QUEUED');
  expect(Math.round(Number(second['estimatedWaitMs']) / 10_000)).toBe(6);
  expect(Math.round(Number(third['estimatedWaitMs']) / 10_000)).toBe(18);
});

test('room goes to the first that fits there, by class', () => {
  const node = { id: 'n', labels: {}, capabilities: [], overcommit: 1, healthy: true };
  const request = (id: string, cores: number, priority: number) => ({
    ...{ id, owner: 'o', wanted: [cores, 0, 0, 0, 0] as const, capabilities: [], labels: {}, queuedAtMs: 0 },
    ...{ priority, leaseMs: 1_000 },
  });
  const waits = estimateWaits({
    nodes: [{ ...node, capacity: [4, 0, 0, 0, 0], used: [4, 0, 0, 0, 0] }],
    queue: [request('large', 4, 2), request('late', 2, 3), request('urgent', 2, 0), request('never', 9, 0)],
    held: [2, 2].map((cores, at) => ({ nodeId: 'n', wanted: [cores, 0, 0, 0, 0], expiresAtMs: 100 * (at + 1) })),
    nowMs: 0,
  });
  // At 100 the urgent one, at 200 the late one, for which two cores are enough; at 1,200 both are over.
  expect(Object.fromEntries(waits)).toEqual({ urgent: 100, late: 200, large: 1_200 });
});
