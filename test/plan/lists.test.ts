import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, openPlanRig, type PlanRig, principal, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const text = `query ($filter: PlanFilter, $first: Int, $after: String, $last: Int, $before: String) {
  plans(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    nodes { title } totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
const list = (filter: object | null, page: object = {}, who = alice) => rig.field(who, text, { filter, ...page });

test('plans are found by each filter, page by page in both directions, and counted whole', async () => {
  const elsewhere = newId();
  rig.contexts.set(`one/${elsewhere}`, 'ACTIVE');
  const bob = principal('bob');
  const steps = [{ description: 'only' }];
  const create = (title: string, more: object = {}, who = alice) =>
    rig.field(
      who,
      'mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } userErrors { code } } }',
      {
        input: { contextId: rig.contextId, title, objective: 'o', steps, ...more },
      },
    );
  await create('Build a house', { type: 'PARALLEL' });
  const approved = await create('Build a BOAT', { priority: 'HIGH' });
  await create('100 % of it_all', {}, bob);
  await create('Elsewhere', { contextId: elsewhere });
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', {
    id: approved['plan']!['id'],
  });
  const titles = async (filter: object | null) => {
    const found = await list(filter);
    expect(found['totalCount']).toBe(found['nodes']!.length);
    return found['nodes']!.map(({ title }) => String(title));
  };
  expect(await titles(null)).toEqual(['Elsewhere', '100 % of it_all', 'Build a BOAT', 'Build a house']);
  expect(await titles({ contextId: elsewhere })).toEqual(['Elsewhere']);
  expect(await titles({ status: ['APPROVED', 'FAILED'] })).toEqual(['Build a BOAT']);
  expect(await titles({ type: ['PARALLEL'] })).toEqual(['Build a house']);
  expect(await titles({ priority: ['HIGH', 'CRITICAL'] })).toEqual(['Build a BOAT']);
  expect(await titles({ createdBy: 'bob' })).toEqual(['100 % of it_all']);
  expect(await titles({ titlePattern: 'a boat' })).toEqual(['Build a BOAT']);
  // What PostgreSQL takes for a pattern is text here.
  expect(await titles({ titlePattern: '%' })).toEqual(['100 % of it_all']);
  expect(await titles({ titlePattern: '_' })).toEqual(['100 % of it_all']);
  expect(await titles({ titlePattern: 'build', status: ['DRAFT'] })).toEqual(['Build a house']);
  expect(await titles({ status: [] })).toEqual([]);

  const one = await list(null, { first: 3 });
  expect(one).toMatchObject({ totalCount: 4, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
  const two = await list(null, { first: 3, after: one['pageInfo']!['endCursor'] });
  expect(two).toMatchObject({ nodes: [{ title: 'Build a house' }], totalCount: 4, pageInfo: { hasNextPage: false } });
  const back = await list(null, { last: 2, before: two['pageInfo']!['startCursor'] });
  expect(back['nodes']).toEqual([{ title: '100 % of it_all' }, { title: 'Build a BOAT' }]);
  const below = await rig.ask(
    alice,
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on Context { plans(first: 1) { totalCount nodes { title } } } } }',
    { refs: [{ __typename: 'Context', id: rig.contextId }] },
  );
  expect(below['_entities']).toEqual([{ plans: { totalCount: 3, nodes: [{ title: '100 % of it_all' }] } }]);
  expect(await list(null, {}, stranger)).toMatchObject({ nodes: [], totalCount: 0 });
  await expect(list(null, { after: 'forged' })).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
  await expect(list({ contextId: 'x' })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
});
