import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, openPlanRig, type PlanRig, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const move = (operation: string, id: string, who = alice) =>
  rig.field(
    who,
    `mutation ($id: ID!) { ${operation}(planId: $id) { plan { status archived archivedAt } userErrors { code } } }`,
    { id },
  );
const listed = async (archived: boolean | null) =>
  (
    await rig.field(
      alice,
      'query ($context: ID, $archived: Boolean) { plans(filter: { contextId: $context, archived: $archived }) { nodes { id } } }',
      { context: rig.contextId, archived },
    )
  )['nodes']!.map(({ id }) => String(id));
const inContext = async () => {
  const found = await rig.ask(
    alice,
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on Context { plans { nodes { id } } } } }',
    { refs: [{ __typename: 'Context', id: rig.contextId }] },
  );
  return found['_entities']!.map((context) => context['plans']!['nodes']!.map(({ id }) => String(id)))[0];
};

test('a plan that has ended is put away, left out of lists, found by those that ask for it, and taken back', async () => {
  const kept = await rig.createPlan({ steps: [{ description: 'kept' }] });
  const ended = await rig.createPlan({ steps: [{ description: 'ended' }] });
  expect((await move('archivePlan', ended))['userErrors']).toMatchObject([{ code: 'INVALID_STATE' }]);
  await move('cancelPlan', ended);
  const audited = await rig.sql`SELECT action, actor FROM plan.audit WHERE resource_id = ${ended} ORDER BY position`;
  expect(audited).toEqual([
    { action: 'plan.create', actor: 'alice' },
    { action: 'plan.cancelPlan', actor: 'alice' },
  ]);
  expect(await move('archivePlan', ended)).toMatchObject({
    plan: { status: 'CANCELLED', archived: true, archivedAt: expect.any(String) },
    userErrors: [],
  });
  expect((await move('archivePlan', ended))['userErrors']).toMatchObject([{ code: 'INVALID_STATE_TRANSITION' }]);
  expect(await listed(null)).toEqual([kept]);
  expect(await inContext()).toEqual([kept]);
  expect(await listed(true)).toEqual([ended]);
  expect(rig.events.at(-1)).toMatchObject({ type: 'plan.archived', streamId: ended });
  expect(await move('unarchivePlan', ended)).toMatchObject({ plan: { archived: false, archivedAt: null } });
  expect((await listed(null)).sort()).toEqual([kept, ended].sort());
});

test('a failed plan that is archived is not planned anew; to others there is none', async () => {
  const { planId, executionId } = await rig.startPlan({
    steps: [{ description: 'fails' }],
    failureResolver: { strategies: [] },
  });
  await rig.fail(alice, (await rig.claim(alice, executionId))['lease']!, { message: 'no' });
  expect((await move('archivePlan', planId, stranger))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  await move('archivePlan', planId);
  expect((await move('revisePlan', planId))['userErrors']).toMatchObject([{ code: 'INVALID_STATE' }]);
  await move('unarchivePlan', planId);
  expect(await move('revisePlan', planId)).toMatchObject({ plan: { status: 'DRAFT' }, userErrors: [] });
});
