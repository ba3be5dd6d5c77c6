import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { extendLeases, reserveBest } from '../../subgraphs/core/allocation/store.ts';
import { type CoreRig, errors, openCoreRig, principal } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { allocation { id } ${errors} } }`;
const release = `mutation ($id: ID!) { releaseResources(allocationId: $id) { ${errors} } }`;
const report = `mutation ($input: ReportCoreResourceUsageInput!) { reportResourceUsage(input: $input) { ${errors} } }`;
const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { ${errors} } }`;
const setQuota = `mutation ($input: CoreQuotaInput!) { setQuota(input: $input) { ${errors} } }`;

const owners = ['one', 'two', 'three'];
const action = fc.oneof(
  { weight: 6, arbitrary: fc.constant('allocate' as const) },
  { weight: 4, arbitrary: fc.constant('release' as const) },
  { weight: 1, arbitrary: fc.constantFrom('expire' as const, 'extend' as const, 'report' as const) },
);
const call = fc.record({
  action,
  owner: fc.constantFrom(...owners),
  cpuCores: fc.integer({ min: 1, max: 4 }),
  priority: fc.constantFrom('CRITICAL', 'HIGH', 'LOW'),
  queueIfFull: fc.boolean(),
  pick: fc.nat(),
});
type Call = typeof call extends fc.Arbitrary<infer Value> ? Value : never;

/**
 * Transactions of this database that PostgreSQL has ended because they waited for each other. Connections tell what they have
 * counted a second later, with the next thing they do.
 */
async function countDeadlocks(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await Promise.all(Array.from({ length: 30 }, () => rig.sql`SELECT pg_sleep(0.01)`));
  const [told] =
    (await rig.sql`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`) as unknown as [
      { deadlocks: number },
    ];
  return Number(told.deadlocks);
}

/** Counted where all are. */
function ifDeadlock(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === '40P01')) throw error;
}

test('whoever allocates, releases, expires, extends and preempts at once: nobody waits for each other, and all is counted', async () => {
  let round = 0;
  const clients = fc.array(fc.array(call, { minLength: 15, maxLength: 25 }), { minLength: 8, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(clients, async (plans) => {
      round += 1;
      const tenantId = `races${round}`;
      const admin = principal('admin', { tenantId });
      for (const name of ['a', 'b', 'c'])
        expect(await rig.field(admin, putNode, { input: { name, capacity: { cpuCores: 5 } } })).toEqual({
          userErrors: [],
        });
      for (const owner of owners) await rig.field(admin, setQuota, { input: { owner, hard: { cpuCores: 8 } } });
      // The planner knows that there are few nodes then, which a subquery that locks may be run for one by one.
      await rig.sql`VACUUM ANALYZE core.node`;
      const known: string[] = [];

      async function act(who: typeof admin, given: Call): Promise<void> {
        const { owner, cpuCores, priority, queueIfFull, pick } = given;
        const id = known[pick % Math.max(1, known.length)];
        switch (given.action) {
          case 'allocate': {
            const input = { owner, requirements: { cpuCores }, priority, queueIfFull };
            const { allocation } = (await rig.field(who, allocate, { input })) as unknown as {
              allocation: { id: string } | null;
            };
            if (allocation) known.push(allocation.id);
            return;
          }
          case 'release':
            if (id !== undefined) await rig.field(who, release, { id });
            return;
          case 'report':
            if (id !== undefined)
              await rig.field(who, report, { input: { allocationId: id, epoch: 1, usage: { cpuCores } } });
            return;
          case 'extend': {
            const ids = [...known].reverse().slice(0, 10);
            await rig.sql.begin((tx) => extendLeases(tx, tenantId, ids)).catch(ifDeadlock);
            return;
          }
          case 'expire':
            // One row: the test's own lock holds nothing else.
            await rig.sql`UPDATE core.allocation SET expires_at = now() - interval '1 second' WHERE tenant_id = ${tenantId} AND id = ${id ?? null} AND status = 'active'`;
            await rig.service.sweep();
            return;
          default:
            given.action satisfies never;
        }
      }

      await Promise.all(
        plans.map(async (plan, at) => {
          const who = principal(`client${at}`, { tenantId });
          for (const one of plan) await act(who, one);
        }),
      );
      const held = `SELECT COALESCE(sum(a.requested[1]), 0)::float8 FROM core.allocation a WHERE a.tenant_id = k.tenant_id AND a.status = 'active'`;
      const nodes = await rig.sql.unsafe(
        `SELECT k.used[1] AS used, k.capacity[1] AS capacity, (${held} AND a.node_id = k.id) AS held FROM core.node k WHERE k.tenant_id = $1`,
        [tenantId],
      );
      for (const { used, capacity, held: sum } of nodes) {
        expect(used).toBe(sum);
        expect(used).toBeLessThanOrEqual(Number(capacity));
      }
      const quotas = await rig.sql.unsafe(
        `SELECT k.used[1] AS used, (${held} AND a.owner = k.owner) AS held FROM core.quota k WHERE k.tenant_id = $1`,
        [tenantId],
      );
      expect(quotas).toHaveLength(owners.length);
      for (const { used, held: sum } of quotas) {
        expect(used).toBe(sum);
        expect(used).toBeLessThanOrEqual(8);
      }
    }),
    { numRuns: 4, endOnFailure: true },
  );
  expect(await countDeadlocks()).toBe(0);
}, 120_000);

test('one node is taken, whichever plan PostgreSQL makes of it', async () => {
  const admin = principal('admin', { tenantId: 'planned' });
  for (const name of ['a', 'b', 'c', 'd'])
    await rig.field(admin, putNode, { input: { name, capacity: { cpuCores: 5 } } });
  await rig.sql`VACUUM ANALYZE core.node`;
  await rig.sql.begin(async (tx) => {
    // What was chosen is sought for each node then.
    for (const way of ['hashjoin', 'mergejoin', 'material', 'indexscan', 'bitmapscan'])
      await tx.unsafe(`SET LOCAL enable_${way} = off`);
    const query = { wanted: [1, 0, 0, 0, 0] as const, capabilities: [], labels: {} };
    for (let taken = 1; taken <= 3; taken += 1) {
      expect(await reserveBest(tx, 'planned', query)).not.toBeNull();
      const [sum] = await tx.unsafe(`SELECT sum(used[1])::int AS cores FROM core.node WHERE tenant_id = 'planned'`);
      expect(sum!['cores']).toBe(taken);
    }
  });
});
