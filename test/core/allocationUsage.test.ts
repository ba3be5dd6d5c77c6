import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CoreRig, errors, openCoreRig, principal } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const who = principal('alice', { tenantId: 'usage' });
const row =
  'id epoch status overuse usage { reportedAt current { cpuCores memoryMb agents } peak { cpuCores memoryMb } average { cpuCores memoryMb } }';
const report = `mutation ($input: ReportCoreResourceUsageInput!) { reportResourceUsage(input: $input) { allocation { ${row} } ${errors} } }`;
const overused = () => rig.events.filter(({ type }) => type === 'allocation.overused');

async function lease(): Promise<string> {
  const put = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { ${errors} } }`;
  await rig.field(who, put, { input: { name: 'n', capacity: { cpuCores: 8, memoryMb: 1_000 } } });
  const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { ${row} } ${errors} } }`;
  const payload = await rig.field(who, allocate, { input: { requirements: { cpuCores: 2, memoryMb: 100 } } });
  expect(payload).toMatchObject({ userErrors: [], allocation: { status: 'ACTIVE', usage: null, overuse: [] } });
  return String(payload['allocation']!['id']);
}

test('what a holder uses shows now, at most and on average over its lease; too much of it is told once', async () => {
  const allocationId = await lease();
  const say = (usage: object, epoch = 1, as = who) => rig.field(as, report, { input: { allocationId, epoch, usage } });
  /** Moves the beginning of the lease or the last report back, so that the next one counts for so long. */
  const back = (column: 'allocated_at' | 'usage_at') =>
    rig.sql`UPDATE core.allocation SET ${rig.sql(column)} = now() - interval '1000 seconds' WHERE id = ${allocationId}`;
  await back('allocated_at');
  expect(await say({ cpuCores: 1, memoryMb: 50 })).toMatchObject({
    ...{ userErrors: [] },
    allocation: {
      ...{ overuse: [], usage: { current: { cpuCores: 1, memoryMb: 50, agents: 0 }, peak: { cpuCores: 1 } } },
    },
  });
  expect(overused()).toHaveLength(0);
  await back('usage_at');
  const second = (await say({ cpuCores: 3, memoryMb: 10 })) as unknown as {
    allocation: { usage: { average: { cpuCores: number; memoryMb: number } } };
  };
  expect(second.allocation).toMatchObject({
    overuse: ['cpuCores'],
    usage: { current: { cpuCores: 3, memoryMb: 10 }, peak: { cpuCores: 3, memoryMb: 50 } },
  });
  // A thousand seconds of each.
  expect(second.allocation.usage.average.cpuCores).toBeCloseTo(2, 1);
  expect(second.allocation.usage.average.memoryMb).toBeCloseTo(30, 0);
  expect(overused().map(({ data }) => data['over'])).toEqual([['cpuCores']]);
  await say({ cpuCores: 4 });
  expect(overused()).toHaveLength(1);
  await say({ cpuCores: 1 });
  await say({ cpuCores: 1, memoryMb: 101 });
  expect(overused().map(({ data }) => data['over'])).toEqual([['cpuCores'], ['memoryMb']]);
});

test('only its holder tells, under the valid token, as long as it holds', async () => {
  const allocationId = await lease();
  const say = (more: object, as = who) =>
    rig.field(as, report, { input: { allocationId, epoch: 1, usage: { cpuCores: 1 }, ...more } });
  expect(await say({ epoch: 0 })).toMatchObject({ userErrors: [{ code: 'LEASE_LOST' }] });
  expect(await say({ usage: { cpuCores: -1 } })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  expect(await say({ allocationId: 'x' })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  const other = principal('bob', { tenantId: 'usage', scopes: ['allocation:create', 'allocation:read'] });
  await expect(say({}, other)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await say({}, principal('alice', { tenantId: 'elsewhere' }))).toMatchObject({
    userErrors: [{ code: 'NOT_FOUND' }],
  });
  const release = `mutation ($id: ID!) { releaseResources(allocationId: $id) { ${errors} } }`;
  expect(await rig.field(who, release, { id: allocationId })).toEqual({ userErrors: [] });
  expect(await say({ epoch: 2 })).toMatchObject({ userErrors: [{ code: 'LEASE_LOST' }] });
  expect(
    await rig.field(who, `query ($id: ID!) { allocation(allocationId: $id) { usage { reportedAt } } }`, {
      id: allocationId,
    }),
  ).toEqual({ usage: null });
});
