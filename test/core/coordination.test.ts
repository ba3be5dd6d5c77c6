import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, type CoreRig, errors, executeWorkflow, openCoreRig, principal } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const coordinate = `mutation ($input: CoordinateCoreModulesInput!) { coordinateModules(input: $input) { execution { status } results { module action status output error { code } } ${errors} } }`;

test('stages are steps: each module is asked for what lies in the context, one after the other', async () => {
  rig.answers.set('context', { id: rig.contextId, status: 'ACTIVE' });
  rig.answers.set('plans', { nodes: [{ id: 'p1' }] });
  rig.answers.set('traces', { nodes: [] });
  const input = { definition: { stages: ['CONTEXT', 'PLAN', 'TRACE'] }, contextId: rig.contextId, wait: true };
  const { execution } = await rig.field(alice, executeWorkflow, { input });
  expect(execution).toMatchObject({ status: 'COMPLETED' });
  const asked = rig.calls.slice(-3);
  expect(asked.map(({ field }) => field)).toEqual(['context', 'plans', 'traces']);
  expect(asked[1]!.variables).toMatchObject({ filter: { contextId: rig.contextId } });
  const done = await rig.execution(String(execution!['id']));
  expect(done['steps']!.map(({ stepId }) => String(stepId))).toEqual(['context', 'plan', 'trace']);
  for (const definition of [{}, { stages: ['PLAN', 'PLAN'] }, { stages: ['CORE'] }])
    expect(await rig.field(alice, executeWorkflow, { input: { definition } })).toMatchObject({
      userErrors: [{ code: 'VALIDATION_FAILED' }],
    });
});

test('modules are coordinated: each answers for itself', async () => {
  rig.answers.set('collabStatistics', { sessions: 3 });
  rig.answers.set('networkStatistics', { data: null, errors: [{ message: 'closed', code: 'INVALID_STATE' }] });
  const input = { modules: ['COLLAB', 'NETWORK'], operation: 'statistics', parameters: { contextId: rig.contextId } };
  const found = await rig.field(alice, coordinate, { input });
  expect(found).toMatchObject({
    ...{ userErrors: [], execution: { status: 'COMPLETED' } },
    results: [
      { module: 'COLLAB', action: 'collabStatistics', status: 'COMPLETED', output: { sessions: 3 } },
      { module: 'NETWORK', action: 'networkStatistics', status: 'FAILED', error: { code: 'INVALID_STATE' } },
    ],
  });
  const asked = rig.calls.filter(({ field }) => field.endsWith('Statistics'));
  expect(
    asked.every(({ principal: who, variables }) => who.subject === 'alice' && variables['contextId'] === rig.contextId),
  ).toBe(true);
  for (const [more, code] of [
    [{ operation: 'fly' }, 'UNKNOWN_OPERATION'],
    [{ parameters: { wings: 2 } }, 'VALIDATION_FAILED'],
    [{ modules: ['PLAN'] }, 'VALIDATION_FAILED'],
    [{ modules: ['PLAN', 'CORE'] }, 'VALIDATION_FAILED'],
  ] as const)
    expect(await rig.field(alice, coordinate, { input: { ...input, ...more } })).toMatchObject({
      userErrors: [{ code }],
    });
});

test('what is published is told once for its key', async () => {
  const publish = `mutation ($input: PublishSystemEventInput!) { publishSystemEvent(input: $input) { eventId ${errors} } }`;
  const publisher = principal('agent', { scopes: ['system:publish'] });
  const input = { eventType: 'build.done', data: { n: 1 }, idempotencyKey: 'published' };
  const ids = [await rig.field(publisher, publish, { input }), await rig.field(publisher, publish, { input })].map(
    ({ eventId }) => eventId,
  );
  expect(ids[0]).toBe(ids[1]);
  const told = rig.events.filter(({ type }) => type === 'system.published');
  expect(told.map(({ data }) => data)).toEqual([{ id: ids[0], type: 'build.done', data: { n: 1 }, published: true }]);
  expect(await rig.field(publisher, publish, { input: { eventType: 'Build_Done' } })).toMatchObject({
    userErrors: [{ code: 'VALIDATION_FAILED' }],
  });
});
