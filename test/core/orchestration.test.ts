import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { toVector } from '../../subgraphs/core/allocation/vector.ts';
import { decideActions, type Rule, type Snapshot } from '../../subgraphs/core/orchestration/rules.ts';
import { slackOf } from '../../subgraphs/core/orchestration/snapshot.ts';
import { type CoreRig, type GraphCall, openCoreRig, principal, ref } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const snapshot: Snapshot = {
  event: { type: 'plan.approved', data: {} },
  contextId: null,
  unavailable: new Map(),
  locked: false,
};
const ruleOf = (at: number, more: Partial<Rule>): Rule => ({
  id: `r${String(at).padStart(3, '0')}`,
  name: `rule ${at}`,
  trigger: 'plan.*',
  condition: null,
  rank: 100,
  actions: [],
  ...more,
});

test('what is chosen fits the quota together, and nothing is put off that would have fitted', () => {
  const demand = fc.record({ cpuCores: fc.integer({ min: 0, max: 8 }), memoryMb: fc.integer({ min: 0, max: 8 }) });
  fc.assert(
    fc.property(fc.array(demand, { maxLength: 8 }), demand, (demands, room) => {
      const rules = demands.map((requires, at) =>
        ruleOf(at, { actions: [{ module: 'plan', action: 'executePlan', input: { at }, requires }] }),
      );
      const left = toVector(room);
      const { actions, deferred } = decideActions(rules, { ...snapshot, quota: { owner: 'ann', left } });
      const used = { cpuCores: 0, memoryMb: 0 };
      const chosen = new Set(actions.map(({ ruleId }) => ruleId));
      expect(actions.length + deferred.length).toBe(rules.length);
      for (const [at, requires] of demands.entries()) {
        const fits =
          used.cpuCores + requires.cpuCores <= room.cpuCores && used.memoryMb + requires.memoryMb <= room.memoryMb;
        expect([at, chosen.has(rules[at]!.id)]).toEqual([at, fits]);
        if (!fits) continue;
        used.cpuCores += requires.cpuCores;
        used.memoryMb += requires.memoryMb;
      }
    }),
    { numRuns: 300 },
  );
});

test('of one rank the least slack goes first and has the quota first; ranks come before it', () => {
  const [calm, urgent, unknown, first] = [newId(), newId(), newId(), newId()];
  const run = (at: number, planId: string, more: Partial<Rule> = {}) =>
    ruleOf(at, {
      actions: [{ module: 'plan', action: 'executePlan', input: { input: { planId } }, requires: { cpuCores: 2 } }],
      ...more,
    });
  const rules = [run(1, calm), run(2, unknown), run(3, urgent), run(4, first, { rank: 1 })];
  const slackMs = new Map([
    [calm, 9_000],
    [urgent, -1_000],
    [first, 99_000],
  ]);
  const decide = (cpuCores: number) =>
    decideActions(rules, { ...snapshot, slackMs, quota: { owner: 'ann', left: toVector({ cpuCores }) } });
  expect(decide(8).actions.map(({ ruleName, slackMs: slack, order }) => [order, ruleName, slack])).toEqual([
    [1, 'rule 4', 99_000],
    [2, 'rule 3', -1_000],
    [3, 'rule 1', 9_000],
    [4, 'rule 2', null],
  ]);
  const tight = decide(5);
  expect(tight.actions.map(({ ruleName }) => ruleName)).toEqual(['rule 4', 'rule 3']);
  expect(tight.deferred.map(({ ruleName, reason }) => [ruleName, reason])).toEqual([
    ['rule 1', 'the quota of ann leaves 1 cpuCores where 2 are needed'],
    ['rule 2', 'the quota of ann leaves 1 cpuCores where 2 are needed'],
  ]);
});

test('the slack of a plan: time to its deadline less the path that is left', () => {
  const plan = { definition: { deadlineMs: 100_000 }, summary: { durationMs: 60_000 }, executions: [] };
  expect(slackOf(plan, 0)).toBe(40_000);
  expect(slackOf({ ...plan, definition: {} }, 0)).toBeNull();
  const startedAt = '2026-01-01T00:00:00.000Z';
  const running = (overallProgress: number) => ({
    ...plan,
    executions: [
      { status: 'FAILED', startedAt: '2020-01-01T00:00:00.000Z', overallProgress: 0 },
      { status: 'RUNNING', startedAt, overallProgress },
    ],
  });
  const at = Date.parse(startedAt) + 50_000;
  expect(slackOf(running(0.5), at)).toBe(20_000);
  expect(slackOf(running(0), at)).toBe(-10_000);
});

const putRule =
  'mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { userErrors { code message } } }';
const decide =
  'mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { actions { order action input slackMs } deferred { action reason confirmId } } userErrors { code message } } }';
const execute = { module: 'plan', action: 'executePlan', input: { input: { planId: ref('input.planId') } } };

async function world(tenantId: string, actions: readonly object[]) {
  const who = principal('alice', { tenantId });
  const rule = await rig.field(who, putRule, { input: { name: 'run', trigger: 'plan.approved', actions } });
  expect(rule['userErrors']).toEqual([]);
  return {
    who,
    decide: async (data: object) => {
      const payload = await rig.field(who, decide, { input: { eventType: 'plan.approved', data } });
      expect(payload['userErrors']).toEqual([]);
      return payload['decision']!;
    },
  };
}

test('what an open Confirm is about waits for it, with the Confirm named; what concerns the Confirm goes on', async () => {
  const [planId, confirmId] = [newId(), newId()];
  const { decide: ask } = await world('one', [
    execute,
    { module: 'confirm', action: 'archiveConfirm', input: { confirmId: ref('input.confirmId') } },
  ]);
  rig.answers.set('plan', null);
  const tell = (type: string, status: string) =>
    rig.tell('confirm', type, { confirm: { id: confirmId, status, targetType: 'plan', targetId: planId } }, confirmId);
  expect((await ask({ planId, confirmId }))['deferred']).toEqual([]);
  await tell('confirm.created', 'pending');
  await rig.service.catchUp();
  const gated = await ask({ planId, confirmId });
  expect(gated['deferred']).toEqual([
    { action: 'plan.executePlan', reason: `the Confirm ${confirmId} about ${planId} is not decided`, confirmId },
  ]);
  expect(gated['actions']!.map(({ action }) => action)).toEqual(['archiveConfirm']);
  // Another plan has nothing to do with it.
  expect((await ask({ planId: newId(), confirmId }))['deferred']).toEqual([]);
  await tell('confirm.resolved', 'approved');
  await rig.service.catchUp();
  expect((await ask({ planId, confirmId }))['deferred']).toEqual([]);
});

test("the caller's quota is looked at, and plans are asked how urgent they are", async () => {
  const [calm, urgent] = [newId(), newId()];
  const run = (planId: string) => ({
    module: 'plan',
    action: 'executePlan',
    input: { input: { planId } },
    requires: { cpuCores: 3 },
  });
  const { who, decide: ask } = await world('quotas', [run(calm), run(urgent)]);
  rig.answers.set('plan', ({ variables }: GraphCall) => ({
    definition: { deadlineMs: variables['id'] === urgent ? 10_000 : 90_000 },
    summary: { durationMs: 10_000 },
    executions: [],
  }));
  const plansOf = (decision: Awaited<ReturnType<typeof ask>>) =>
    decision['actions']!.map(({ input, slackMs }) => [input!['input']!['planId'], slackMs]);
  expect(plansOf(await ask({}))).toEqual([
    [urgent, 0],
    [calm, 80_000],
  ]);
  const quota = await rig.field(
    who,
    'mutation ($input: CoreQuotaInput!) { setQuota(input: $input) { userErrors { code message } } }',
    { input: { owner: 'alice', hard: { cpuCores: 5 } } },
  );
  expect(quota['userErrors']).toEqual([]);
  const tight = await ask({});
  expect(plansOf(tight)).toEqual([[urgent, 0]]);
  expect(tight['deferred']).toMatchObject([
    { action: 'plan.executePlan', reason: 'the quota of alice leaves 2 cpuCores where 3 are needed', confirmId: null },
  ]);
});
