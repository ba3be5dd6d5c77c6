import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type CoreRig, errors, openCoreRig, principal, ref } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const putRule = `mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { rule { id } ${errors} } }`;
const shape =
  'id eventType contextId actions { order module action ruleId } rejected { ruleName reason } executionId execution { id } createdBy';
const decide = `mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { ${shape} } ${errors} } }`;
const read = `query ($id: ID!) { orchestrationDecision(decisionId: $id) { ${shape} } }`;
const list = `query ($filter: CoreDecisionFilter, $first: Int, $after: String) { orchestrationDecisions(filter: $filter, first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }`;

test('what was decided stays, with its reasons and what came of it, for whoever may see its context', async () => {
  const who = principal('alice', { tenantId: 'told' });
  const rule = await rig.field(who, putRule, {
    input: {
      ...{ name: 'run', trigger: 'plan.*', condition: 'input.type == "plan.approved"' },
      actions: [{ module: 'plan', action: 'executePlan', input: { input: { planId: ref('input.planId') } } }],
    },
  });
  const ruleId = String(rule['rule']!['id']);
  const make = async (eventType: string, more: object = {}) => {
    const made = await rig.field(who, decide, { input: { eventType, data: { planId: newId() }, ...more } });
    expect(made['userErrors']).toEqual([]);
    return made['decision']!;
  };
  const [first, second, third] = [
    await make('plan.approved'),
    await make('plan.rejected'),
    await make('plan.approved', { dispatch: true }),
  ];
  expect(first).toMatchObject({
    ...{ eventType: 'plan.approved', contextId: null, executionId: null, execution: null, createdBy: 'alice' },
    actions: [{ order: 1, module: 'plan', action: 'executePlan', ruleId }],
  });
  expect(second).toMatchObject({ actions: [], rejected: [{ ruleName: 'run' }] });
  expect(third['execution']!['id']).toBe(third['executionId']);
  expect(await rig.field(who, read, { id: second['id'] })).toEqual(second);
  const idsOf = async (filter?: object) =>
    (await rig.field(who, list, { filter }))['nodes']!.map(({ id }) => String(id));
  const [one, two, three] = [first, second, third].map(({ id }) => String(id));
  expect(await idsOf()).toEqual([three, two, one]);
  expect(await idsOf({ eventType: 'plan.rejected' })).toEqual([two]);
  expect(await idsOf({ ruleId })).toEqual([three, one]);
  expect(await idsOf({ contextId: newId() })).toEqual([]);
  const page = await rig.field(who, list, { first: 2 });
  const { endCursor, hasNextPage } = page['pageInfo'] as unknown as { endCursor: string; hasNextPage: boolean };
  expect(hasNextPage).toBe(true);
  expect((await rig.field(who, list, { first: 2, after: endCursor }))['nodes']).toEqual([{ id: one }]);
  const stranger = principal('eve', { tenantId: 'elsewhere' });
  expect(await rig.field(stranger, read, { id: one })).toBeNull();
  expect((await rig.field(stranger, list))['nodes']).toEqual([]);
});
