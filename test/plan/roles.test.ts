import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { alice, openPlanRig, type PlanRig, principal, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function tellRole(type: string, role: { readonly id: string; readonly name: string; readonly status: string }) {
  await rig.sql.begin((tx) =>
    appendChange(tx, 'role', [
      { tenantId: 'one', actor: 'someone', events: [{ streamId: role.id, type, data: { role }, tags: [] }] },
    ]),
  );
}

const reader = principal('reader', { scopes: ['plan:read', 'role:read'] });
const rolesText = 'query ($id: ID!) { plan(planId: $id) { steps { agentRole role { id } } } }';

test('the role of a step is found by its id, then by its name, and not in another tenant', async () => {
  const followed = await rig.service.start();
  const [builder, named] = [newId(), newId()];
  await tellRole('role.created', { id: builder, name: 'builder', status: 'ACTIVE' });
  // A role may bear the id of another as its name: the id comes first.
  await tellRole('role.created', { id: named, name: builder, status: 'ACTIVE' });
  await rig.service.catchUp();
  const steps = ['builder', builder, 'nobody', undefined].map((agentRole) => ({ description: 'work', agentRole }));
  const id = await rig.createPlan({ steps });
  const read = async () =>
    (await rig.field(reader, rolesText, { id }))['steps']!.map((step) => step['role']?.['id'] ?? null);
  expect(await read()).toEqual([builder, builder, null, null]);
  await tellRole('role.updated', { id: builder, name: 'mason', status: 'ACTIVE' });
  await rig.service.catchUp();
  expect(await read()).toEqual([null, builder, null, null]);
  await tellRole('role.deleted', { id: builder, name: 'mason', status: 'ACTIVE' });
  await rig.service.catchUp();
  expect(await read()).toEqual([null, named, null, null]);
  expect(await rig.service.roles.findIds(stranger, ['mason', named])).toEqual([null, null]);
  await followed.close();
});

test('a role that no event has told of is asked for in the graph, once for a name, and kept', async () => {
  const [welder, other, byId] = [newId(), newId(), newId()];
  for (const role of [
    { id: other, name: 'chief welder', status: 'ACTIVE' },
    { id: welder, name: 'welder', status: 'ACTIVE' },
    { id: byId, name: 'rigger', status: 'ACTIVE' },
  ])
    rig.graphRoles.set(`one/${role.name}`, role);
  const steps = ['welder', byId, 'welder', 'glazier'].map((agentRole) => ({ description: 'work', agentRole }));
  const id = await rig.createPlan({ steps });
  const read = async () =>
    (await rig.field(reader, rolesText, { id }))['steps']!.map((step) => step['role']?.['id'] ?? null);
  rig.askedRoles.length = 0;
  expect(await read()).toEqual([welder, byId, welder, null]);
  expect(rig.askedRoles.toSorted()).toEqual(['glazier', byId, 'welder'].toSorted());
  const check = 'query ($id: ID!) { validatePlan(planId: $id) { valid problems { severity code message stepIds } } }';
  expect(await rig.field(reader, check, { id })).toEqual({
    valid: true,
    problems: [
      {
        ...{ severity: 'WARNING', code: 'NOT_FOUND', message: 'no role has the id or the name glazier' },
        stepIds: [expect.any(String)],
      },
    ],
  });
  // What was found stands in the replica; what was not may come to be, and is asked for again.
  rig.graphRoles.clear();
  rig.askedRoles.length = 0;
  expect(await read()).toEqual([welder, byId, welder, null]);
  expect(rig.askedRoles).toEqual(['glazier']);
  expect(await rig.service.roles.findIds(stranger, ['welder'])).toEqual([null]);
});

const assignedText = `query ($subject: ID!, $status: [PlanStepStatus!], $first: Int, $after: String) {
  _entities(representations: [{ __typename: "Subject", id: $subject }]) { ... on Subject {
    assignedSteps(status: $status, first: $first, after: $after) { nodes { id planId status } pageInfo { hasNextPage endCursor } } } } }`;

test('steps of a subject: those it is assigned to and those it has claimed, page by page', async () => {
  const worker = principal('worker-of-steps');
  const [assigned, claimed, other] = [newId(), newId(), newId()];
  const planId = await rig.createPlan({
    steps: [
      { id: assigned, description: 'assigned', assignedAgents: ['worker-of-steps'] },
      { id: other, description: 'of another', assignedAgents: ['agent-1'] },
    ],
  });
  const { executionId } = await rig.startPlan({ steps: [{ id: claimed, description: 'claimed' }] });
  const lease = (await rig.claim(worker, executionId))['lease']!;
  const page = async (variables: object) => {
    const answer = await rig.field(alice, assignedText, { subject: 'worker-of-steps', ...variables });
    return answer[0 as never]!['assignedSteps']!;
  };
  const idsOf = (found: Awaited<ReturnType<typeof page>>) => found['nodes']!.map(({ id }) => String(id));
  expect(idsOf(await page({})).sort()).toEqual([assigned, claimed].sort());
  const plan = await rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { steps { agents { id } } } }', {
    id: planId,
  });
  expect(plan['steps']!.map((step) => step['agents'])).toEqual([[{ id: 'worker-of-steps' }], [{ id: 'agent-1' }]]);
  const half = await page({ first: 1 });
  expect(half['pageInfo']).toMatchObject({ hasNextPage: true });
  const rest = await page({ first: 1, after: half['pageInfo']!['endCursor'] });
  expect([...idsOf(half), ...idsOf(rest)].sort()).toEqual([assigned, claimed].sort());
  expect(rest['pageInfo']).toMatchObject({ hasNextPage: false });
  expect(idsOf(await page({ status: ['IN_PROGRESS'] }))).toEqual([claimed]);
  await rig.complete(worker, lease);
  expect(idsOf(await page({ status: ['IN_PROGRESS'] }))).toEqual([]);
  expect(idsOf(await page({ status: ['COMPLETED'] }))).toEqual([claimed]);
  // What is given to another is that one's.
  await rig.field(
    alice,
    'mutation ($p: ID!, $s: ID!) { reassignTask(planId: $p, stepId: $s, agentId: "agent-1") { userErrors { code } } }',
    { p: planId, s: assigned },
  );
  expect(idsOf(await page({}))).toEqual([claimed]);
  const foreign = await rig.field(stranger, assignedText, { subject: 'worker-of-steps' });
  expect(foreign[0 as never]!['assignedSteps']!['nodes']!.length).toBe(0);
});
