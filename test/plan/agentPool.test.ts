import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, type Json, openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const step = (more: object = {}) => ({ id: newId(), description: 'a step', durationMs: hour, ...more });
const errors = 'userErrors { code message retryAfterMs }';
/** One claim as the agent itself, which states nothing of itself unless told otherwise. */
const claim = (agentId: string, executionId: string, more: object = {}): Promise<Json> =>
  rig.field(
    principal(agentId, { roles: ['member'] }),
    `mutation ($id: ID!, $capabilities: [String!], $key: String) { claimStep(executionId: $id, capabilities: $capabilities, idempotencyKey: $key) {
      lease { executionId stepId epoch agentId } retryAfterMs ${errors} } }`,
    { id: executionId, ...more },
  );
const codesOf = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
const complete = (agentId: string, lease: Json) => rig.complete(principal(agentId), lease);
const stepsOf = (executionId: string) =>
  rig.sql`SELECT step_id AS id, status, lease_owner AS owner, capabilities, offered_at AS "offeredAt" FROM plan.step_execution WHERE execution_id = ${executionId} ORDER BY rank` as unknown as Promise<
    { id: string; status: string; owner: string | null; capabilities: string[]; offeredAt: Date | null }[]
  >;
/** As if time had passed: what was offered to others is for all. */
const letOffersPass = (executionId: string) =>
  rig.sql`UPDATE plan.step_execution SET offered_at = offered_at - interval '1 hour' WHERE execution_id = ${executionId}`;
/** As if the run had begun so long ago. */
const age = (executionId: string, ms: number) =>
  rig.sql`UPDATE plan.execution SET started_at = started_at - ${ms} * interval '1 millisecond' WHERE id = ${executionId}`;

test('who is not in the pool gets nothing, whatever it can do, and is told why; without a pool all may claim', async () => {
  const { executionId } = await rig.startPlan({ steps: [step()] }, { agentPool: [{ agentId: 'ann' }] });
  const before = await stepsOf(executionId);
  expect(codesOf(await claim('outsider', executionId))).toEqual(['AGENT_NOT_IN_POOL']);
  expect(await stepsOf(executionId)).toEqual(before);
  expect(await claim('ann', executionId)).toMatchObject({
    lease: { agentId: 'ann' },
    retryAfterMs: null,
    userErrors: [],
  });
  const open = await rig.startPlan({ steps: [step()] });
  expect(await claim('outsider', open.executionId)).toMatchObject({ lease: { agentId: 'outsider' }, userErrors: [] });
});

test('a member holds no more than its capacity, which a step that ends gives back', async () => {
  const { executionId } = await rig.startPlan(
    { steps: [step(), step(), step(), step()] },
    { agentPool: [{ agentId: 'ann', capacity: 2 }] },
  );
  const claims = await Promise.all(Array.from({ length: 5 }, () => claim('ann', executionId)));
  const held = claims.flatMap(({ lease }) => (lease ? [lease] : []));
  expect(held).toHaveLength(2);
  expect(claims.flatMap(codesOf)).toEqual(Array(3).fill('AGENT_AT_CAPACITY'));
  await complete('ann', held[0]!);
  expect(codesOf(await claim('ann', executionId))).toEqual([]);
  // A lease that lapsed counts no more, though nobody has swept it yet.
  await rig.sql`UPDATE plan.step_execution SET lease_until = clock_timestamp() - interval '1 second' WHERE execution_id = ${executionId} AND step_id = ${String(held[1]!['stepId'])}`;
  expect(codesOf(await claim('ann', executionId))).toEqual([]);
});

test('a member works while it is there, and begins nothing that it would not end', async () => {
  const long = step({ durationMs: 3 * hour });
  const short = step({ durationMs: hour });
  const { executionId } = await rig.startPlan(
    { steps: [long, short] },
    {
      agentPool: [
        { agentId: 'early', availableUntilMs: 2 * hour },
        { agentId: 'late', availableFromMs: hour },
      ],
    },
  );
  const soon = await claim('late', executionId);
  expect(codesOf(soon)).toEqual(['AGENT_UNAVAILABLE']);
  const wait = Number(soon['userErrors']![0 as never]!['retryAfterMs']);
  expect(wait).toBeGreaterThan(hour / 2);
  expect(wait).toBeLessThanOrEqual(hour);
  // The long one is the more urgent, and would take longer than it is there.
  const { lease } = await claim('early', executionId);
  expect(lease!['stepId']).toBe(short.id);
  await complete('early', lease!);
  expect(await claim('early', executionId)).toMatchObject({ lease: null, userErrors: [] });
  await age(executionId, 2 * hour);
  const gone = await claim('early', executionId);
  expect(gone['userErrors']).toMatchObject([{ code: 'AGENT_UNAVAILABLE', retryAfterMs: null }]);
  expect((await claim('late', executionId))['lease']!['stepId']).toBe(long.id);
});

test('what the pool says of an agent counts, less what it states itself; roles only where it has them', async () => {
  const [code, review] = [step({ requiredCapabilities: ['code'] }), step({ agentRole: 'member' })];
  const agentPool = [
    { agentId: 'ann', capabilities: ['code', 'test'], capacity: 2 },
    { agentId: 'bob', roles: ['member', 'chief'] },
  ];
  const { executionId } = await rig.startPlan({ steps: [code, review] }, { agentPool });
  expect(await claim('ann', executionId, { capabilities: ['test', 'fly'] })).toMatchObject({
    lease: null,
    userErrors: [],
  });
  expect(await claim('bob', executionId, { capabilities: ['code'] })).toMatchObject({ lease: { stepId: review.id } });
  expect(await claim('ann', executionId)).toMatchObject({ lease: { stepId: code.id } });
});

test('a step is kept for the least loaded who can do it, and after a second for all', async () => {
  const steps = [step(), step(), step()];
  const agentPool = [
    { agentId: 'ann', capacity: 2 },
    { agentId: 'bob', capacity: 2 },
    { agentId: 'gone', capacity: 9, availableUntilMs: hour / 2 },
    { agentId: 'none', capacity: 0 },
  ];
  const { executionId } = await rig.startPlan({ steps }, { agentPool });
  expect((await claim('ann', executionId))['lease']).not.toBeNull();
  const kept = await claim('ann', executionId);
  expect(kept).toMatchObject({ lease: null, userErrors: [] });
  expect(Number(kept['retryAfterMs'])).toBeGreaterThan(0);
  expect(Number(kept['retryAfterMs'])).toBeLessThanOrEqual(1_000);
  const offered = (await stepsOf(executionId)).map(({ offeredAt }) => offeredAt?.getTime());
  expect(offered.filter((at) => at !== undefined)).toHaveLength(2);
  // Asking again does not begin it anew.
  await claim('ann', executionId);
  expect((await stepsOf(executionId)).map(({ offeredAt }) => offeredAt?.getTime())).toEqual(offered);
  expect((await claim('bob', executionId))['lease']).not.toBeNull();
  // Both have as much to do now: whoever asks.
  const { lease } = await claim('ann', executionId);
  expect(lease).not.toBeNull();
  await complete('ann', lease!);

  const second = await rig.startPlan({ steps: [step(), step()] }, { agentPool });
  await claim('ann', second.executionId);
  expect((await claim('ann', second.executionId))['lease']).toBeNull();
  await letOffersPass(second.executionId);
  // Bob never asked.
  expect((await claim('ann', second.executionId))['lease']).not.toBeNull();
  expect((await stepsOf(second.executionId)).map(({ offeredAt }) => offeredAt)).toEqual([null, null]);
});

test('a step of such a run is reassigned to those of its pool who can do it', async () => {
  const code = step({ requiredCapabilities: ['code'] });
  const agentPool = [{ agentId: 'ann', capabilities: ['code'] }, { agentId: 'bob' }];
  const { executionId, planId } = await rig.startPlan({ steps: [code] }, { agentPool });
  const reassign = (agentId: string) =>
    rig.field(
      alice,
      'mutation ($planId: ID!, $stepId: ID!, $agentId: ID!) { reassignTask(planId: $planId, stepId: $stepId, agentId: $agentId) { userErrors { code } } }',
      { planId, stepId: code.id, agentId },
    );
  expect(codesOf(await reassign('outsider'))).toEqual(['AGENT_NOT_IN_POOL']);
  expect(codesOf(await reassign('bob'))).toEqual(['RESOURCE_ALLOCATION_FAILED']);
  const [plan] =
    (await rig.sql`SELECT assigned_agents FROM plan.step WHERE plan_id = ${planId}`) as unknown as object[];
  expect(plan).toEqual({ assigned_agents: [] });
  expect(codesOf(await reassign('ann'))).toEqual([]);
  expect((await claim('ann', executionId))['lease']).not.toBeNull();
});

const skills = ['a', 'b'] as const;
const pools = fc.uniqueArray(
  fc.record({
    agentId: fc.constantFrom('m1', 'm2', 'm3', 'm4'),
    capacity: fc.integer({ min: 1, max: 3 }),
    capabilities: fc.subarray([...skills]),
  }),
  { selector: ({ agentId }) => agentId, minLength: 1, maxLength: 4 },
);
const work = fc.array(fc.record({ needs: fc.subarray([...skills]), after: fc.option(fc.nat(), { nil: undefined }) }), {
  minLength: 1,
  maxLength: 8,
});
const acts = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('claim' as const),
        who: fc.nat(5),
        times: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('complete' as const), who: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
  ),
  { maxLength: 12 },
);

test('never over capacity, never an outsider, and all is done while the members ask', async () => {
  await fc.assert(
    fc.asyncProperty(pools, work, acts, async (pool, wanted, told) => {
      const able = (needs: readonly string[]) =>
        pool.filter(({ capabilities }) => needs.every((need) => (capabilities as readonly string[]).includes(need)));
      const tasks = wanted.filter(({ needs }) => able(needs).length > 0);
      fc.pre(tasks.length > 0);
      const ids = tasks.map(() => newId());
      const { executionId } = await rig.startPlan(
        {
          steps: tasks.map(({ needs, after }, at) => ({
            ...{ id: ids[at], description: 's', durationMs: hour, requiredCapabilities: needs },
            dependsOn: after === undefined || at === 0 ? [] : [ids[after % at]],
          })),
        },
        { agentPool: pool },
      );
      const names = [...pool.map(({ agentId }) => agentId), 'outsider', 'another'];
      const leases = new Map<string, Json[]>(names.map((name) => [name, []]));
      const look = async () => {
        const steps = await stepsOf(executionId);
        for (const { agentId, capacity, capabilities } of pool) {
          const own = steps.filter(({ status, owner }) => status === 'leased' && owner === agentId);
          expect(own.length).toBeLessThanOrEqual(capacity);
          for (const { capabilities: needs } of own)
            expect(needs.every((need) => (capabilities as readonly string[]).includes(need))).toBe(true);
        }
        for (const { owner } of steps) expect([null, ...pool.map(({ agentId }) => agentId)]).toContain(owner);
        return steps;
      };
      const ask = async (name: string, times: number) => {
        const before = await stepsOf(executionId);
        const payloads = await Promise.all(Array.from({ length: times }, () => claim(name, executionId)));
        const got = payloads.flatMap(({ lease }) => (lease ? [lease] : []));
        leases.get(name)!.push(...got);
        const member = pool.find(({ agentId }) => agentId === name);
        if (!member) {
          // Once all is done nobody gets anything, and that comes first.
          const [run] = await rig.sql<
            { status: string }[]
          >`SELECT status FROM plan.execution WHERE id = ${executionId}`;
          const code = run!.status === 'RUNNING' ? 'AGENT_NOT_IN_POOL' : 'EXECUTION_NOT_ACTIVE';
          expect(payloads.flatMap(codesOf)).toEqual(payloads.map(() => code));
          return;
        }
        // Whose load is highest gets nothing before it has been offered to those with less.
        const load = (agentId: string, capacity: number) =>
          before.filter(({ status, owner }) => status === 'leased' && owner === agentId).length / capacity;
        if (times > 1) return;
        for (const lease of got) {
          const taken = before.find(({ id }) => id === String(lease['stepId']))!;
          const others = able(taken.capabilities).filter(
            ({ agentId, capacity }) => load(agentId, capacity) < load(name, member.capacity),
          );
          if (others.length > 0) expect(taken.offeredAt).not.toBeNull();
        }
      };
      const finish = async (name: string) => {
        const lease = leases.get(name)!.shift();
        if (lease) expect((await complete(name, lease))['userErrors']).toEqual([]);
      };
      for (const act of told) {
        if (act.kind === 'wait') await letOffersPass(executionId);
        else if (act.kind === 'complete') await finish(names[act.who % names.length]!);
        else await ask(names[act.who % names.length]!, act.times);
        await look();
      }
      // Each round ends something, or somebody takes what was kept long enough for others.
      const isOpen = async () => (await stepsOf(executionId)).some(({ status }) => status !== 'completed');
      for (let round = 0; round <= 3 * tasks.length && (await isOpen()); round += 1) {
        for (const { agentId } of pool) {
          const { length } = leases.get(agentId)!;
          for (let n = 0; n < length; n += 1) await finish(agentId);
        }
        if (!(await isOpen())) break;
        for (const { agentId } of pool) await ask(agentId, 1);
        await letOffersPass(executionId);
        await look();
      }
      expect((await stepsOf(executionId)).map(({ status }) => status)).toEqual(tasks.map(() => 'completed'));
    }),
    { numRuns: 12 },
  );
}, 120_000);
