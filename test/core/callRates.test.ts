import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCallRates } from '../../subgraphs/core/callRates.ts';
import { alice, type CoreRig, type Json, openCoreRig, principal } from './rig.ts';

const limits = {
  CORE_STATUS_PER_MINUTE: '3',
  CORE_HEALTH_PER_MINUTE: '4',
  CORE_WORKFLOWS_PER_MINUTE: '5',
  CORE_ALLOCATIONS_PER_MINUTE: '2',
  CORE_EVENTS_PER_MINUTE: '2',
};
let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ env: limits, works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A minute from its beginning, so that none ends on the way. */
async function freshMinute(): Promise<void> {
  const [{ left }] =
    (await rig.sql`SELECT (60 - extract(second FROM clock_timestamp()))::float8 AS left`) as unknown as [
      { left: number },
    ];
  if (left < 20) await new Promise((resolve) => setTimeout(resolve, left * 1_000 + 50));
}
const codeOf = async (answer: Promise<Json>) =>
  answer.then(
    (payload) => payload['userErrors']?.map(({ code }) => String(code))[0] ?? 'OK',
    (error: { code?: string }) => error.code ?? String(error),
  );
const times = async (count: number, ask: () => Promise<Json>) => {
  const codes: string[] = [];
  for (let at = 0; at < count; at += 1) codes.push(await codeOf(ask()));
  return codes;
};
const some = (allowed: number, refused: number) => [
  ...Array.from({ length: allowed }, () => 'OK'),
  ...Array.from({ length: refused }, () => 'RATE_LIMITED'),
];

test('each kind of call has its limit in a minute, each subject its own, and who is over hears when to come again', async () => {
  await freshMinute();
  const bob = principal('bob', { scopes: ['*'] });
  const definition = { steps: [{ stepId: 'only', kind: 'PASS', input: {} }] };
  const workflow = `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } userErrors { code retryable retryAfterMs } } }`;
  const execute = `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } userErrors { code } } }`;
  const event = `mutation { publishSystemEvent(input: { eventType: "a.b" }) { eventId userErrors { code } } }`;
  const allocate = `mutation ($input: AllocateCoreResourcesInput!) { allocateResources(input: $input) { userErrors { code } } }`;
  const make = () => rig.field(alice, workflow, { input: { name: 'w', definition } });
  // Made and started in one call is one call.
  expect(await times(2, make)).toEqual(some(2, 0));
  expect(await times(4, () => rig.field(alice, execute, { input: { definition } }))).toEqual(some(3, 1));
  const refused = (await make())['userErrors']!.map((error) => error)[0]!;
  expect(refused).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
  expect(Number(refused['retryAfterMs'])).toBeGreaterThan(0);
  expect(Number(refused['retryAfterMs'])).toBeLessThanOrEqual(60_000);
  expect(await times(5, () => rig.field(alice, '{ systemStatus { health } }'))).toEqual(some(3, 2));
  expect(await times(5, () => rig.field(alice, '{ systemHealth { score } }'))).toEqual(some(4, 1));
  expect(await times(3, () => rig.field(alice, event))).toEqual(some(2, 1));
  const request = { requirements: { cpuCores: 1 }, durationMs: 60_000 };
  const asked = await times(3, () => rig.field(alice, allocate, { input: request }));
  expect(asked.map((code) => code === 'RATE_LIMITED')).toEqual([false, false, true]);
  expect(await times(1, () => rig.field(bob, workflow, { input: { name: 'w', definition } }))).toEqual(some(1, 0));
  // A minute later it begins anew.
  await rig.sql`UPDATE core.call_rate SET window_at = window_at - interval '1 minute'`;
  const later = createCallRates({ sql: rig.sql, config: rig.runtime.config });
  await later.take({ principal: alice }, 'workflow');
});

test('property: however many instances ask at once, no more than the limit are let through, and hardly fewer', async () => {
  const calls = fc.record({
    instances: fc.integer({ min: 1, max: 4 }),
    limit: fc.integer({ min: 1, max: 200 }),
    calls: fc.integer({ min: 1, max: 300 }),
  });
  let at = 0;
  await fc.assert(
    fc.asyncProperty(calls, async ({ instances, limit, calls: count }) => {
      await freshMinute();
      at += 1;
      const scope = { principal: principal(`client-${at}`) };
      const config = { ...rig.runtime.config, CORE_EVENTS_PER_MINUTE: limit };
      const rates = Array.from({ length: instances }, () => createCallRates({ sql: rig.sql, config }));
      const results = await Promise.allSettled(
        Array.from({ length: count }, (_, n) => rates[n % instances]!.take(scope, 'event')),
      );
      const allowed = results.filter(({ status }) => status === 'fulfilled').length;
      expect(allowed).toBeLessThanOrEqual(limit);
      expect(allowed).toBeGreaterThanOrEqual(Math.min(count, limit - instances * Math.ceil(limit / 20)));
    }),
    { numRuns: 20 },
  );
});
