import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Json, openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

let tenants = 0;
/** A tenant of its own, so that the domains of the tests do not mix. */
function newTenant() {
  tenants += 1;
  const tenantId = `htn-${tenants}`;
  rig.contexts.set(`${tenantId}/${rig.contextId}`, 'ACTIVE');
  return principal('planner', { tenantId });
}
type Who = ReturnType<typeof newTenant>;

const errors = 'userErrors { code message path }';
const methodText = `mutation ($input: CreatePlanMethodInput!) { createPlanMethod(input: $input) { method { id methodId task name rank parameters precondition subtaskOrder subtasks { task arguments } step { name description type durationMs demands { resourceId } requiredCapabilities acceptanceCriteria { id verification } effects { fact value increase } } createdBy } ${errors} } }`;
const addMethod = (who: Who, input: object) => rig.field(who, methodText, { input });
async function addMethods(who: Who, inputs: readonly object[]) {
  for (const input of inputs) expect((await addMethod(who, input))['userErrors']).toEqual([]);
}
const decompose = (who: Who, input: object) =>
  rig.field(
    who,
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id stepCount objectives { id description task arguments } summary { durationMs feasible }
      steps { id place name description durationMs agentRole requiredCapabilities status } dependencies { sourceId targetId type } } ${errors} } }`,
    { input: { contextId: rig.contextId, title: 'A plan', objective: 'To be done', ...input } },
  );

/** Descriptions in the order planned, and the dependencies between them. */
function read(payload: Json) {
  expect(payload['userErrors']).toEqual([]);
  const text = new Map(payload['plan']!['steps']!.map((step) => [String(step['id']), String(step['description'])]));
  const pairs = payload['plan']!['dependencies']!.map((one) => [
    text.get(String(one['sourceId'])),
    text.get(String(one['targetId'])),
  ]);
  return { steps: [...text.values()], pairs: pairs.map((pair) => pair.join(' -> ')).sort() };
}

const move = (task: string, text: string, more: object = {}) => ({
  task,
  name: task,
  parameters: ['from', 'to'],
  step: { description: text, durationMs: 3_600_000, effects: [{ fact: 'at', value: '$task.to' }], ...more },
});

/** The travel domain that HTN planners are explained with. */
const travel = [
  {
    task: 'travel',
    name: 'stay',
    rank: -1,
    parameters: ['to'],
    precondition: 'facts.at == task.to',
    subtasks: [],
  },
  {
    task: 'travel',
    name: 'by foot',
    parameters: ['to'],
    precondition: 'facts.distance <= 2',
    subtasks: [{ task: 'walk', arguments: { from: '$facts.at', to: '$task.to' } }],
  },
  {
    task: 'travel',
    name: 'by taxi',
    parameters: ['to'],
    precondition: 'facts.cash >= facts.fare',
    subtasks: [
      { task: 'call', arguments: { place: '$facts.at' } },
      { task: 'ride', arguments: { from: '$facts.at', to: '$task.to' } },
      { task: 'pay', arguments: { amount: '$facts.fare' } },
    ],
  },
  move('walk', 'Walk from {task.from} to {task.to}'),
  move('ride', 'Ride from {task.from} to {task.to}', {
    agentRole: 'passenger',
    requiredCapabilities: ['riding'],
    durationMs: 600_000,
  }),
  {
    task: 'call',
    name: 'call',
    parameters: ['place'],
    step: { description: 'Call a taxi to {task.place}', durationMs: 60_000 },
  },
  {
    task: 'pay',
    name: 'pay',
    parameters: ['amount'],
    step: {
      name: 'payment',
      description: 'Pay {task.amount}',
      durationMs: 0,
      effects: [{ fact: 'cash', increase: -12 }],
    },
  },
];

test('an objective is decomposed by the first method whose precondition holds', async () => {
  const who = newTenant();
  await addMethods(who, travel);
  const objectives = [{ task: 'travel', arguments: { to: 'park' } }];
  const far = await decompose(who, { objectives, facts: { at: 'home', distance: 8, cash: 20, fare: 12 } });
  expect(read(far)).toEqual({
    steps: ['Call a taxi to home', 'Ride from home to park', 'Pay 12'],
    pairs: ['Call a taxi to home -> Ride from home to park', 'Ride from home to park -> Pay 12'],
  });
  expect(far['plan']).toMatchObject({
    stepCount: 3,
    summary: { durationMs: 660_000, feasible: true },
    objectives: [{ id: 'objective-1', description: 'travel', task: 'travel', arguments: { to: 'park' } }],
  });
  expect(far['plan']!['steps']![1 as never]).toMatchObject({
    ...{
      name: 'ride',
      durationMs: 600_000,
      agentRole: 'passenger',
      requiredCapabilities: ['riding'],
      status: 'PENDING',
    },
  });
  expect(far['plan']!['steps']![2 as never]).toMatchObject({ name: 'payment' });
  const near = await decompose(who, { objectives, facts: { at: 'home', distance: 2, cash: 0, fare: 12 } });
  expect(read(near).steps).toEqual(['Walk from home to park']);
  const event = rig.events.find(({ streamId }) => streamId === String(far['plan']!['id']))!;
  expect((event.data['changes'] as { methodIds: unknown[] }).methodIds).toHaveLength(4);
});

test('what a step changes is known to what is planned after it', async () => {
  const who = newTenant();
  await addMethods(who, travel);
  const objectives = ['park', 'park', 'home'].map((to) => ({ task: 'travel', arguments: { to } }));
  const both = await decompose(who, { objectives, facts: { at: 'home', distance: 8, cash: 25, fare: 12 } });
  // The second is done by having arrived.
  expect(read(both).steps).toEqual([
    'Call a taxi to home',
    'Ride from home to park',
    'Pay 12',
    'Call a taxi to park',
    'Ride from park to home',
    'Pay 12',
  ]);
  // The money for the way back is gone: nothing applies to the third objective.
  const poor = await decompose(who, { objectives, facts: { at: 'home', distance: 8, cash: 23, fare: 12 } });
  expect(poor['userErrors']).toEqual([
    expect.objectContaining({
      code: 'DECOMPOSITION_FAILED',
      path: ['input', 'objectives', '2'],
      message: expect.stringMatching(
        /^objective 2: travel at depth 0: no method applies \(stay: .*by foot: .*by taxi: /,
      ),
    }),
  ]);
  const none = await decompose(who, { objectives: [objectives[0]], facts: { at: 'park' } });
  expect(none['userErrors']).toMatchObject([
    { code: 'DECOMPOSITION_FAILED', message: expect.stringContaining('at least one step') },
  ]);
});

test('a choice that leads to no end is taken back, in the order of the methods', async () => {
  const who = newTenant();
  const step = (task: string, more: object = {}) => ({ task, name: task, step: { description: task, ...more } });
  await addMethods(who, [
    // Registered first, tried last.
    { task: 'survey', name: 'by hand', rank: 5, subtasks: [{ task: 'measure' }, { task: 'report' }] },
    { task: 'survey', name: 'by drone', subtasks: [{ task: 'charge' }, { task: 'fly' }, { task: 'report' }] },
    { task: 'survey', name: 'by satellite', subtasks: [{ task: 'order-image' }, { task: 'report' }] },
    step('charge', { effects: [{ fact: 'charged', value: true }] }),
    { ...step('fly'), precondition: 'facts.charged AND facts.wind < 10' },
    step('measure'),
    { ...step('report'), precondition: 'NOT facts.sealed' },
  ]);
  const calm = await decompose(who, { objectives: [{ task: 'survey' }], facts: { wind: 3 } });
  expect(read(calm).steps).toEqual(['charge', 'fly', 'report']);
  const windy = await decompose(who, { objectives: [{ task: 'survey' }], facts: { wind: 30 } });
  expect(read(windy).steps).toEqual(['measure', 'report']);
  // Told of where it got furthest: two steps of the drone, not the satellite that nobody can order.
  const sealed = await decompose(who, { objectives: [{ task: 'survey' }], facts: { wind: 3, sealed: true } });
  expect(sealed['userErrors']![0 as never]!['message']).toMatch(
    /^objective 0: report at depth 1: no method applies \(report: /,
  );
  // A wind that is no number is no condition that holds.
  const odd = await decompose(who, { objectives: [{ task: 'survey' }], facts: { wind: 'strong' } });
  expect(read(odd).steps).toEqual(['measure', 'report']);
});

test('unordered tasks are interleaved where the facts ask for it, and run side by side where they do not', async () => {
  const who = newTenant();
  const step = (task: string, more: object = {}) => ({ task, name: task, step: { description: task, ...more } });
  await addMethods(who, [
    {
      task: 'prepare',
      name: 'all',
      subtaskOrder: 'UNORDERED',
      subtasks: [{ task: 'visit' }, { task: 'gear' }, { task: 'notify' }],
    },
    { task: 'visit', name: 'in order', subtasks: [{ task: 'drive' }, { task: 'drill' }, { task: 'leave' }] },
    { task: 'gear', name: 'in order', subtasks: [{ task: 'rent' }, { task: 'return' }] },
    step('drive'),
    { ...step('drill'), precondition: 'facts.rig' },
    step('leave', { effects: [{ fact: 'left', value: true }] }),
    step('rent', { effects: [{ fact: 'rig', value: true }] }),
    { ...step('return', { effects: [{ fact: 'rig', value: null }] }), precondition: 'facts.left' },
    step('notify'),
  ]);
  const found = read(await decompose(who, { objectives: [{ task: 'prepare' }] }));
  expect(found.steps).toEqual(['drive', 'rent', 'drill', 'leave', 'return', 'notify']);
  expect(found.pairs).toEqual(['drill -> leave', 'drive -> drill', 'leave -> return', 'rent -> drill']);
  const pair = { objectives: [{ task: 'rent' }, { task: 'notify' }] };
  expect(read(await decompose(who, pair)).pairs).toEqual(['rent -> notify']);
  expect(read(await decompose(who, { ...pair, objectiveOrder: 'UNORDERED' })).pairs).toEqual([]);
});

test('ten levels below an objective, and no more', async () => {
  const who = newTenant();
  await addMethods(who, [
    { task: 'count', name: 'down', subtasks: [{ task: 'less' }, { task: 'count' }], precondition: 'facts.endless' },
    { task: 'less', name: 'less', step: { description: 'less' } },
    ...Array.from({ length: 11 }, (_, at) => ({
      task: `level${at}`,
      name: 'down',
      subtasks: [{ task: `level${at + 1}` }],
    })),
    { task: 'level11', name: 'work', step: { description: 'work' } },
  ]);
  expect(read(await decompose(who, { objectives: [{ task: 'level1' }] })).steps).toEqual(['work']);
  const deep = await decompose(who, { objectives: [{ task: 'less' }, { task: 'level0' }] });
  expect(deep['userErrors']).toMatchObject([
    {
      code: 'DECOMPOSITION_FAILED',
      path: ['input', 'objectives', '1'],
      message: 'objective 1: level10 at depth 10: expected at most 10 levels',
    },
  ]);
  const endless = await decompose(who, { objectives: [{ task: 'count' }], facts: { endless: true } });
  expect(endless['userErrors']![0 as never]!['message']).toBe(
    'objective 0: count at depth 10: expected at most 10 levels',
  );
});

test('the methods of a tenant are its own; listed in the order in which they are tried', async () => {
  const [who, other] = [newTenant(), newTenant()];
  await addMethods(who, travel);
  const text = `query ($task: String, $first: Int, $after: String) { planMethods(task: $task, first: $first, after: $after) { nodes { id name task } pageInfo { hasNextPage endCursor } } }`;
  const names = (answer: Json) => answer['nodes']!.map(({ task, name }) => `${String(task)}: ${String(name)}`);
  const two = await rig.field(who, text, { task: 'travel', first: 2 });
  expect(names(two)).toEqual(['travel: stay', 'travel: by foot']);
  const rest = await rig.field(who, text, { task: 'travel', after: two['pageInfo']!['endCursor'] });
  expect([names(rest), rest['pageInfo']!['hasNextPage']]).toEqual([['travel: by taxi'], false]);
  expect(names(await rig.field(who, text, { first: 3 }))).toEqual(['call: call', 'pay: pay', 'ride: ride']);
  await expect(rig.field(who, text, { after: 'forged' })).rejects.toMatchObject({ code: 'CURSOR_INVALID' });

  expect(names(await rig.field(other, text))).toEqual([]);
  const objectives = [{ task: 'travel', arguments: { to: 'park' } }];
  const foreign = await decompose(other, { objectives, facts: { at: 'home', distance: 1 } });
  expect(foreign['userErrors']).toMatchObject([
    { code: 'DECOMPOSITION_FAILED', message: 'objective 0: travel at depth 0: no method applies' },
  ]);
  const id = two['nodes']![0 as never]!['id'];
  const removeText = `mutation ($id: ID!) { deletePlanMethod(methodId: $id) { methodId deleted ${errors} } }`;
  expect((await rig.field(other, removeText, { id }))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  expect(await rig.field(who, removeText, { id })).toEqual({ methodId: id, deleted: true, userErrors: [] });
  expect((await rig.field(who, removeText, { id }))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  expect(rig.events.filter(({ streamId }) => streamId === String(id)).map(({ type }) => type)).toEqual([
    'plan.method.created',
    'plan.method.deleted',
  ]);
});

test.each([
  ['no body', { task: 'a', name: 'n' }, ['input']],
  ['two bodies', { task: 'a', name: 'n', subtasks: [], step: { description: 'd' } }, ['input']],
  ['a task of two words', { task: 'a b', name: 'n', subtasks: [] }, ['input', 'task']],
  [
    'a reserved parameter',
    { task: 'a', name: 'n', parameters: ['__proto__'], subtasks: [] },
    ['input', 'parameters', '0'],
  ],
  ['code', { task: 'a', name: 'n', precondition: 'process.exit(1)', subtasks: [] }, ['input', 'precondition']],
  [
    'attributes of others',
    { task: 'a', name: 'n', precondition: 'subject.level > 1', subtasks: [] },
    ['input', 'precondition'],
  ],
  [
    'an unknown parameter',
    { task: 'a', name: 'n', subtasks: [{ task: 'b', arguments: { x: '$task.y' } }] },
    ['input', 'subtasks'],
  ],
  ['an unknown placeholder', { task: 'a', name: 'n', step: { description: 'To {task.y}' } }, ['input', 'step']],
  [
    'a composite step',
    { task: 'a', name: 'n', step: { description: 'd', type: 'COMPOSITE' } },
    ['input', 'step', 'type'],
  ],
  [
    'an effect of neither kind',
    { task: 'a', name: 'n', step: { description: 'd', effects: [{ fact: 'f' }] } },
    ['input', 'step', 'effects', '0'],
  ],
])('a method is refused: %s', async (_, input, path) => {
  const who = newTenant();
  expect((await addMethod(who, input))['userErrors']).toEqual([
    expect.objectContaining({ code: 'VALIDATION_FAILED', path }),
  ]);
});

test.each([
  ['neither steps nor objectives', {}, ['input', 'steps']],
  ['no step', { steps: [] }, ['input', 'steps']],
  ['an objective without a task', { objectives: [{ description: 'cheap' }] }, ['input', 'objectives', '0', 'task']],
  ['no objective', { objectives: [] }, ['input', 'objectives']],
  [
    'an argument that is a list',
    { objectives: [{ task: 'a', arguments: { x: [1] } }] },
    ['input', 'objectives', '0', 'arguments'],
  ],
  ['facts that are no object', { objectives: [{ task: 'a' }], facts: [1] }, ['input', 'facts']],
  ['facts beside steps', { steps: [{ description: 'd' }], facts: {} }, ['input', 'facts']],
  ['dependencies of no steps', { objectives: [{ task: 'a' }], dependencies: [] }, ['input', 'dependencies']],
])('createPlan is refused: %s', async (_, input, path) => {
  expect((await decompose(newTenant(), input))['userErrors']).toEqual([
    expect.objectContaining({ code: 'VALIDATION_FAILED', path: expect.arrayContaining(path) }),
  ]);
});

test('a name stands once in a task, and a repeated call is answered whatever became of the methods', async () => {
  const who = newTenant();
  const work = { task: 'work', name: 'work', step: { description: 'work' } };
  const created = await addMethod(who, { ...work, idempotencyKey: 'once' });
  expect(created['method']).toMatchObject({
    task: 'work',
    rank: 0,
    parameters: [],
    subtaskOrder: 'ORDERED',
    createdBy: 'planner',
  });
  expect(await addMethod(who, { ...work, idempotencyKey: 'once' })).toEqual(created);
  expect((await addMethod(who, work))['userErrors']).toMatchObject([{ code: 'CONFLICT', path: ['input', 'name'] }]);
  const input = { objectives: [{ task: 'work' }], idempotencyKey: 'planned' };
  const first = await decompose(who, input);
  const again = { id: created['method']!['id'] };
  await rig.field(who, `mutation ($id: ID!) { deletePlanMethod(methodId: $id) { ${errors} } }`, again);
  expect(await decompose(who, input)).toEqual(first);
  expect((await decompose(who, { ...input, idempotencyKey: 'other' }))['userErrors']).toMatchObject([
    { code: 'DECOMPOSITION_FAILED' },
  ]);
});

test('methods are written with plan:create and read with plan:read', async () => {
  const reader = principal('reader', { scopes: ['plan:read'] });
  const work = { task: 'work', name: 'work', step: { description: 'work' } };
  await expect(addMethod(reader, work)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await rig.field(reader, '{ planMethods { nodes { id } } }')).toEqual({ nodes: [] });
  await expect(
    rig.field(principal('writer', { scopes: ['plan:create'] }), '{ planMethods { nodes { id } } }'),
  ).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});
