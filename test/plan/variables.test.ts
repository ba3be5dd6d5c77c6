import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Binding, decompose, type Method, maxMatches } from '../../subgraphs/plan/decomposition/index.ts';
import { openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const method = (task: string, more: Partial<Method>): Method => ({
  ...{ id: `${task}/${more.name ?? task}`, task, name: task, parameters: [], bindings: [], precondition: null },
  ...{ order: 'ORDERED' as const, subtasks: null, step: null },
  ...more,
});
/** What is planned, as texts; or why nothing is. */
function plan(
  methods: readonly Method[],
  facts: Readonly<Record<string, unknown>>,
  given: Record<string, string> = {},
) {
  const found = decompose({ methods, objectives: [{ task: 'go', arguments: given }], order: 'ORDERED', facts });
  return 'steps' in found ? found.steps.map(({ description }) => description) : found.failure;
}

const trucks = [
  { id: 't1', at: 'yard', size: 3 },
  { id: 't2', at: 'home', size: 1 },
  { id: 't3', at: 'home', size: 5 },
];
const roads = [
  { from: 'home', to: 'ford' },
  { from: 'ford', to: 'park' },
  { from: 'home', to: 'gate' },
  { from: 'gate', to: 'park' },
];

test('a variable takes the first value with which the rest can be done, and is one in all patterns', () => {
  const go = method('go', {
    parameters: ['from', 'to'],
    bindings: [
      { in: 'facts.trucks', pattern: { id: '?truck', at: '$task.from', size: '?size' } },
      { in: 'facts.roads', pattern: { from: '$task.from', to: '?via' } },
      { in: 'facts.roads', pattern: { from: '?via', to: '$task.to' } },
    ],
    precondition: 'vars.size >= 3',
    subtasks: [{ task: 'drive', arguments: { truck: '$vars.truck', via: '$vars.via' } }],
  });
  const drive = method('drive', {
    parameters: ['truck', 'via'],
    precondition: 'task.via != facts.closed',
    step: { description: '{task.truck} via {task.via}', effects: [] },
  });
  const trip = { from: 'home', to: 'park' };
  expect(plan([go, drive], { trucks, roads }, trip)).toEqual(['t3 via ford']);
  // Taken back where it leads to no end.
  expect(plan([go, drive], { trucks, roads, closed: 'ford' }, trip)).toEqual(['t3 via gate']);
  expect(plan([go, drive], { trucks: trucks.slice(0, 2), roads }, trip)).toMatchObject({
    kind: 'no_method',
    methods: [{ name: 'go', reason: 'its precondition does not hold, or a parameter has no value' }],
  });
  for (const facts of [{}, { trucks: 'none', roads }, { trucks: [], roads }, { trucks: [null, 1, 'x'], roads }])
    expect(plan([go, drive], facts, trip)).toMatchObject({
      kind: 'no_method',
      methods: [{ reason: 'no facts match its bindings' }],
    });
});

test('lists of values, question marks and facts in patterns; a step reads its variables', () => {
  const say = (bindings: readonly Binding[]) =>
    method('go', { bindings, step: { description: 'to {vars.x}', effects: [{ fact: 'last', value: '$vars.x' }] } });
  expect(plan([say([{ in: 'facts.all', pattern: '?x' }])], { all: ['a', 'b'] })).toEqual(['to a']);
  expect(
    plan([say([{ in: 'facts.all', pattern: { mark: '??', kind: '$facts.kind', x: '?x' } }])], {
      kind: 'k',
      all: [
        { mark: '?', kind: 'other', x: 1 },
        { mark: '?', kind: 'k', x: true },
      ],
    }),
  ).toEqual(['to true']);
  const twice = [
    { in: 'facts.one', pattern: '?x' },
    { in: 'facts.other', pattern: '?x' },
  ];
  expect(plan([say(twice)], { one: ['a', 'b', 'c'], other: ['c', 'b'] })).toEqual(['to b']);
});

test('what is found is what trying every combination finds first', () => {
  const value = fc.constantFrom('a', 'b', 'c');
  const pairs = fc.array(fc.record({ l: value, r: value }), { maxLength: 5 });
  fc.assert(
    fc.property(pairs, pairs, value, (first, second, wanted) => {
      const go = method('go', {
        bindings: [
          { in: 'facts.first', pattern: { l: '?x', r: '?y' } },
          { in: 'facts.second', pattern: { l: '?y', r: '?z' } },
        ],
        precondition: `vars.z == "${wanted}" AND vars.x != vars.z`,
        step: { description: '{vars.x}{vars.y}{vars.z}', effects: [] },
      });
      const all = first.flatMap((one) => second.map((two) => [one, two] as const));
      const fits = all.find(([one, two]) => one.r === two.l && two.r === wanted && one.l !== two.r);
      const found = plan([go], { first, second });
      if (fits) expect(found).toEqual([`${fits[0].l}${fits[0].r}${fits[1].r}`]);
      else expect(found).toMatchObject({ kind: 'no_method' });
    }),
    { numRuns: 300 },
  );
});

test('matching gives up after a million elements', () => {
  const list = Array.from({ length: 200 }, (_, at) => at);
  const bindings = ['a', 'b', 'c'].map((name) => ({ in: 'facts.list', pattern: `?${name}` }));
  // Two hundred to the power of three combinations, of which none is right; few of them come as far as the tries.
  const go = method('go', {
    bindings: [...bindings, { in: 'facts.none', pattern: '?d' }],
    step: { description: 'never', effects: [] },
  });
  expect(200 ** 3).toBeGreaterThan(maxMatches);
  expect(plan([go], { list, none: [] })).toMatchObject({ kind: 'gave_up' });
});

const errors = 'userErrors { code path }';
test('methods keep their bindings, and createPlan decomposes by them', async () => {
  const who = principal('planner', { tenantId: 'vars' });
  rig.contexts.set(`vars/${rig.contextId}`, 'ACTIVE');
  const add = (input: object) =>
    rig.field(
      who,
      `mutation ($input: CreatePlanMethodInput!) { createPlanMethod(input: $input) { method { bindings { in pattern } } ${errors} } }`,
      { input: { task: 'load', name: 'any', step: { description: 'Load {vars.id}' }, ...input } },
    );
  const bindings = [{ in: 'facts.trucks', pattern: { id: '?id', at: 'home' } }];
  expect(await add({ bindings })).toEqual({ method: { bindings }, userErrors: [] });
  const refused = async (more: object) => (await add({ name: 'other', ...more }))['userErrors'];
  const at = (...path: string[]) => [{ code: 'VALIDATION_FAILED', path: ['input', ...path] }];
  expect(await refused({})).toEqual(at('step'));
  expect(await refused({ bindings: [{ in: 'facts.trucks', pattern: '?no such' }] })).toEqual(at('bindings'));
  expect(await refused({ bindings: [{ in: 'facts.t', pattern: { id: '$vars.other' } }] })).toEqual(at('bindings'));
  expect(await refused({ bindings: [{ in: 'task.x', pattern: '?id' }] })).toEqual(at('bindings', '0', 'in'));
  expect(await refused({ bindings: [{ in: 'facts.t', pattern: [1] }] })).toEqual(at('bindings', '0', 'pattern'));
  const planned = await rig.field(
    who,
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { steps { description } } ${errors} } }`,
    {
      input: {
        contextId: rig.contextId,
        title: 'p',
        objective: 'o',
        objectives: [{ task: 'load' }],
        facts: { trucks },
      },
    },
  );
  expect(planned).toEqual({ plan: { steps: [{ description: 'Load t2' }] }, userErrors: [] });
});
