import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CoreRig, errors, openCoreRig, principal, stranger } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const row = 'id owner status epoch nodeId queuePosition reason requested { cpuCores memoryMb }';
const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { ${row} } ${errors} } }`;
const renew = `mutation ($id: ID!, $epoch: Int!) { renewAllocation(allocationId: $id, epoch: $epoch) { allocation { ${row} } ${errors} } }`;
const release = `mutation ($id: ID!) { releaseResources(allocationId: $id) { allocation { ${row} } ${errors} } }`;
const find = `query ($id: ID!) { allocation(allocationId: $id) { ${row} } }`;
const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { node { id used { cpuCores } } ${errors} } }`;
const setQuota = `mutation ($input: CoreQuotaInput!) { setQuota(input: $input) { owner { owner weight } ${errors} } }`;
const usage =
  '{ resourceUsage { queued utilisation used { cpuCores memoryMb } owners { owner used { cpuCores } aboveSoft } alerts } }';

/** A tenant of its own with nodes of so many cores. */
async function world(tenantId: string, cores: readonly number[]) {
  const who = principal('alice', { tenantId });
  for (const [at, cpuCores] of cores.entries())
    expect(
      await rig.field(who, putNode, { input: { name: `n${at}`, capacity: { cpuCores, memoryMb: 1_000 } } }),
    ).toMatchObject({ userErrors: [] });
  const get = (cpuCores: number, more: object = {}, as = who) =>
    rig.field(as, allocate, { input: { requirements: { cpuCores, memoryMb: 10 }, ...more } });
  return { who, get };
}

test('a lease: reserved, renewed under its token, released; a token that is not the valid one is refused', async () => {
  const { who, get } = await world('lease', [4]);
  const { allocation } = (await get(3)) as unknown as { allocation: { id: string; epoch: number } };
  expect(allocation).toMatchObject({
    status: 'ACTIVE',
    epoch: 1,
    owner: 'alice',
    requested: { cpuCores: 3, memoryMb: 10 },
  });
  expect(await rig.field(who, renew, { id: allocation.id, epoch: 1 })).toMatchObject({
    allocation: { epoch: 2 },
    userErrors: [],
  });
  expect(await rig.field(who, renew, { id: allocation.id, epoch: 1 })).toMatchObject({
    userErrors: [{ code: 'LEASE_LOST' }],
  });
  expect(await rig.field(who, usage)).toMatchObject({
    used: { cpuCores: 3 },
    owners: [{ owner: 'alice', used: { cpuCores: 3 } }],
  });
  expect(await rig.field(stranger, release, { id: allocation.id })).toMatchObject({
    userErrors: [{ code: 'NOT_FOUND' }],
  });
  expect(await rig.field(who, release, { id: allocation.id })).toMatchObject({ allocation: { status: 'RELEASED' } });
  expect(await rig.field(who, release, { id: allocation.id })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE' }],
  });
  expect(await rig.field(who, usage)).toMatchObject({ used: { cpuCores: 0 }, owners: [{ used: { cpuCores: 0 } }] });
});

test('what no node can ever carry is refused, what none can carry now waits and is served when there is room', async () => {
  const { who, get } = await world('queue', [4, 2]);
  expect(await get(5)).toMatchObject({ userErrors: [{ code: 'NEVER_FITS' }] });
  const first = await get(4, { preemptible: false });
  expect(await get(4, { queueIfFull: false })).toMatchObject({ userErrors: [{ code: 'RESOURCE_ALLOCATION_FAILED' }] });
  const second = await get(4);
  expect(second).toMatchObject({ allocation: { status: 'QUEUED', queuePosition: 1, nodeId: null } });
  await rig.field(who, release, { id: first['allocation']!['id'] });
  expect(await rig.field(who, find, { id: second['allocation']!['id'] })).toMatchObject({ status: 'ACTIVE', epoch: 1 });
});

test('a refusal says what would be granted instead, and it is', async () => {
  const asked = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { status } suggestions { kind requirements { cpuCores memoryMb storageMb bandwidthMbps agents } waitMs } ${errors} } }`;
  const { who, get } = await world('suggest', [4, 8]);
  const ask = (requirements: object, more: object = {}) =>
    rig.field(who, asked, { input: { requirements, queueIfFull: false, ...more } });
  const kinds = (answer: Awaited<ReturnType<typeof ask>>) => answer['suggestions']!.map(({ kind }) => String(kind));

  // More than any node has: what the larger one has, and no wait would help.
  const tooMuch = await ask({ cpuCores: 10, memoryMb: 100 });
  expect(tooMuch).toMatchObject({
    allocation: null,
    userErrors: [{ code: 'NEVER_FITS' }],
    suggestions: [{ kind: 'SMALLER', requirements: { cpuCores: 8, memoryMb: 100 }, waitMs: null }],
  });
  const taken = await ask(tooMuch['suggestions']![0]!['requirements'] as unknown as object, { durationMs: 60_000 });
  expect(taken).toMatchObject({ allocation: { status: 'ACTIVE' }, suggestions: [], userErrors: [] });

  // The room is taken: less of it now, or all of it when that lease ends.
  const full = await ask({ cpuCores: 6, memoryMb: 10 });
  expect(full['userErrors']).toMatchObject([{ code: 'RESOURCE_ALLOCATION_FAILED' }]);
  expect(kinds(full)).toEqual(['SMALLER', 'WAIT']);
  expect(full['suggestions']![0]).toMatchObject({ requirements: { cpuCores: 4 } });
  const waitMs = Number(full['suggestions']![1]!['waitMs']);
  expect(waitMs).toBeGreaterThan(30_000);
  expect(waitMs).toBeLessThanOrEqual(60_000);

  // Only the label is in the way.
  const elsewhere = await ask({ cpuCores: 3, memoryMb: 10 }, { affinity: [{ name: 'zone', value: 'b' }] });
  expect(elsewhere['userErrors']).toMatchObject([{ code: 'NEVER_FITS' }]);
  expect(kinds(elsewhere)).toEqual(['ELSEWHERE']);

  // What the quota leaves.
  await rig.field(who, setQuota, { input: { owner: 'alice', hard: { cpuCores: 9 } } });
  const over = await ask({ cpuCores: 2, memoryMb: 10 });
  expect(over['userErrors']).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
  expect(over['suggestions']).toMatchObject([{ kind: 'SMALLER', requirements: { cpuCores: 1 } }]);
  expect(await get(1)).toMatchObject({ allocation: { status: 'ACTIVE' } });
  // Nothing is left, and other refusals have nothing to suggest.
  expect(await ask({ cpuCores: 1 })).toMatchObject({ userErrors: [{ code: 'QUOTA_EXCEEDED' }], suggestions: [] });
  expect(await ask({ cpuCores: -1 })).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }], suggestions: [] });
});

test('a quota is never passed, whoever asks at once; others allocate for an owner only with allocation:manage', async () => {
  const { who, get } = await world('quota', [50]);
  await rig.field(who, setQuota, { input: { owner: 'alice', hard: { cpuCores: 7 }, soft: { cpuCores: 2 } } });
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(1)));
  expect(answers.filter((one) => one['allocation'])).toHaveLength(7);
  expect(
    new Set(
      answers
        .filter((one) => one['userErrors']!.length > 0)
        .map((one) => JSON.stringify((one['userErrors'] as unknown as { code: string }[])[0]!.code)),
    ),
  ).toEqual(new Set(['"QUOTA_EXCEEDED"']));
  expect(await rig.field(who, usage)).toMatchObject({
    owners: [{ owner: 'alice', used: { cpuCores: 7 }, aboveSoft: true }],
  });
  const bob = principal('bob', { tenantId: 'quota', scopes: ['allocation:create', 'allocation:read'] });
  await expect(
    rig.field(bob, allocate, { input: { owner: 'alice', requirements: { cpuCores: 1 } } }),
  ).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
  });
});

test('capacity is never passed, though many reserve and release at once; nothing is left over at the end', async () => {
  const { who, get } = await world('storm', [5, 5, 5]);
  const checks: unknown[] = [];
  await Promise.all(
    Array.from({ length: 60 }, async (_, at) => {
      const { allocation } = (await get(1 + (at % 3), {
        owner: `owner${at % 4}`,
        priority: at % 2 === 0 ? 'HIGH' : 'LOW',
      })) as unknown as { allocation: { id: string; status: string } | null };
      if (at % 7 === 0)
        checks.push(
          ...(await rig.sql`SELECT 1 FROM core.node WHERE tenant_id = 'storm' AND used[1] > capacity[1] * overcommit + 1e-6`),
        );
      if (allocation) await rig.field(who, release, { id: allocation.id });
    }),
  );
  expect(checks).toEqual([]);
  await rig.service.sweep();
  for (;;) {
    const open =
      (await rig.sql`SELECT id FROM core.allocation WHERE tenant_id = 'storm' AND status IN ('active', 'queued')`) as unknown as {
        id: string;
      }[];
    if (open.length === 0) break;
    for (const { id } of open) await rig.field(who, release, { id });
  }
  const left =
    (await rig.sql`SELECT (SELECT sum(used[1]) FROM core.node WHERE tenant_id = 'storm')::float8 AS nodes, (SELECT sum(used[1]) FROM core.quota WHERE tenant_id = 'storm')::float8 AS quotas`) as unknown as [
      { nodes: number; quotas: number },
    ];
  expect(left[0]).toEqual({ nodes: 0, quotas: 0 });
});

test('a lease that nobody renews ends, and its room is given on', async () => {
  const { who, get } = await world('expiry', [2]);
  const first = await get(2, { durationMs: 1_000, preemptible: false });
  const second = await get(2);
  expect(second).toMatchObject({ allocation: { status: 'QUEUED' } });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await rig.service.sweep();
  expect(await rig.field(who, find, { id: first['allocation']!['id'] })).toMatchObject({ status: 'EXPIRED' });
  expect(await rig.field(who, find, { id: second['allocation']!['id'] })).toMatchObject({ status: 'ACTIVE' });
  expect(await rig.field(who, renew, { id: first['allocation']!['id'], epoch: 1 })).toMatchObject({
    userErrors: [{ code: 'LEASE_LOST' }],
  });
});

test('leases that end together give back what each of them held, once; what is renewed or ended already stays', async () => {
  const { who, get } = await world('together', [5, 5, 5]);
  const held = await Promise.all(
    Array.from({ length: 12 }, async (_, at) => {
      const more = { owner: `owner${at % 3}`, durationMs: 60_000, preemptible: false };
      return (await get(1, more))['allocation'] as unknown as { id: string; nodeId: string };
    }),
  );
  expect(new Set(held.map(({ nodeId }) => nodeId)).size).toBeGreaterThan(1);
  await rig.field(who, release, { id: held[0]!.id });
  await rig.sql`UPDATE core.allocation SET expires_at = now() - interval '1 second' WHERE tenant_id = 'together'`;
  expect(await rig.field(who, renew, { id: held[1]!.id, epoch: 1 })).toMatchObject({
    userErrors: [{ code: 'LEASE_LOST' }],
  });
  await rig.sql`UPDATE core.allocation SET expires_at = now() + interval '1 hour' WHERE tenant_id = 'together' AND id = ${held[1]!.id}`;
  await Promise.all([rig.service.sweep(), rig.service.sweep()]);
  const count = async (status: string) =>
    (await rig.sql`SELECT 1 FROM core.allocation WHERE tenant_id = 'together' AND status = ${status}`).length;
  expect([await count('expired'), await count('released'), await count('active')]).toEqual([10, 1, 1]);
  const [left] =
    (await rig.sql`SELECT (SELECT array_agg(used[1] ORDER BY owner) FROM core.quota WHERE tenant_id = 'together') AS quotas,
      (SELECT array_agg(used[1] ORDER BY used[1]) FROM core.node WHERE tenant_id = 'together') AS nodes`) as unknown as [
      { quotas: number[]; nodes: number[] },
    ];
  expect(left).toEqual({ quotas: [0, 1, 0], nodes: [0, 0, 1] });
  const told =
    (await rig.sql`SELECT data->'allocation'->>'id' AS id FROM core.event WHERE tenant_id = 'together' AND type = 'allocation.expired'`) as unknown as {
      id: string;
    }[];
  expect(told.map(({ id }) => id).sort()).toEqual(
    held
      .slice(2)
      .map(({ id }) => id)
      .sort(),
  );
});

test('an urgent request ends a lease of a lower class, which hears of it', async () => {
  const { who, get } = await world('urgent', [4]);
  const low = await get(4, { priority: 'LOW', owner: 'slow' });
  const high = await get(3, { priority: 'CRITICAL' });
  expect(high).toMatchObject({ allocation: { status: 'ACTIVE' } });
  expect(await rig.field(who, find, { id: low['allocation']!['id'] })).toMatchObject({
    status: 'PREEMPTED',
    reason: `for ${high['allocation']!['id']}`,
  });
  expect(rig.events.map(({ type }) => type)).toContain('allocation.preempted');
});

test('a node takes no less capacity than is leased on it; labels and capabilities choose the node', async () => {
  const { who, get } = await world('labels', [4]);
  await rig.field(who, putNode, {
    input: {
      name: 'gpu',
      capacity: { cpuCores: 4 },
      labels: [{ name: 'kind', value: 'gpu' }],
      capabilities: ['vision'],
    },
  });
  expect(
    await rig.field(who, allocate, {
      input: { requirements: { cpuCores: 1 }, affinity: [{ name: 'kind', value: 'tpu' }] },
    }),
  ).toMatchObject({ userErrors: [{ code: 'NEVER_FITS' }] });
  expect(
    await rig.field(who, allocate, {
      input: { requirements: { cpuCores: 3 }, affinity: [{ name: 'kind', value: 'gpu' }], capabilities: ['vision'] },
    }),
  ).toMatchObject({ allocation: { status: 'ACTIVE' } });
  expect(await rig.field(who, putNode, { input: { name: 'gpu', capacity: { cpuCores: 2 } } })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE' }],
  });
  expect(await get(1)).toMatchObject({ allocation: { status: 'ACTIVE' } });
});
