import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { contextOf } from '../../subgraphs/core/orchestration/reactions.ts';
import { type CoreRig, errors, type GraphCall, type Json, made, openCoreRig, principal, ref } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const putRule = `mutation ($input: CoreOrchestrationRuleInput!) { putOrchestrationRule(input: $input) { rule { id automatic } ${errors} } }`;
const decide = `mutation ($input: DecideCoreOrchestrationInput!) { decideOrchestration(input: $input) { decision { id eventType depth executionId actions { ruleName input } rejected { ruleName reason } } ${errors} } }`;
const decisions = `{ orchestrationDecisions(first: 50) { nodes { eventType eventId depth createdBy actions { ruleName input } rejected { ruleName reason } execution { id status ruleDepth ruleChain createdBy } } } }`;
const create = (title: string) => ({
  ...{ module: 'context', action: 'createContext' },
  input: { input: { title, root: { domain: 'd', environment: 'e' } } },
});
const put = async (who: ReturnType<typeof principal>, input: object): Promise<string> => {
  const payload = await rig.field(who, putRule, { input });
  expect(payload['userErrors']).toEqual([]);
  return String(payload['rule']!['id']);
};
const decided = async (who: ReturnType<typeof principal>) =>
  (await rig.field(who, decisions))['nodes'] as unknown as {
    eventType: string;
    eventId: string | null;
    depth: number;
    actions: { ruleName: string; input: unknown }[];
    rejected: { ruleName: string; reason: string }[];
    execution: { id: string; status: string; ruleDepth: number; ruleChain: string[]; createdBy: string } | null;
  }[];
/** A tenant with a context of its own that is active. */
function tenant(tenantId: string, more: object = {}) {
  const contextId = newId();
  rig.contexts.set(`${tenantId}/${contextId}`, 'ACTIVE');
  return {
    contextId,
    who: principal('author', { tenantId, scopes: ['workflow:*', 'system:*', 'context:admin'], ...more }),
  };
}
const planEvent = (contextId: string, more: object = {}) => ({
  plan: { id: newId(), contextId, title: 'mine', ...more },
});
const executionsOf = async (tenantId: string) => {
  const [row] =
    (await rig.sql`SELECT count(*)::int AS count FROM core.execution WHERE tenant_id = ${tenantId}`) as unknown as [
      { count: number },
    ];
  return row.count;
};

test('an event triggers the rules that react by themselves, each once, and no others', async () => {
  const { who, contextId } = tenant('react');
  rig.answers.set('createContext', made('made'));
  await rig.tell('plan', 'plan.created', planEvent(contextId), newId(), { tenantId: 'react' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  const rule = await put(who, {
    ...{ name: 'follow', trigger: 'plan.*', automatic: true, actions: [create(ref('input.plan.title'))] },
    condition: 'input.plan.title == "mine"',
  });
  await put(who, { name: 'asked', trigger: 'plan.*', actions: [create('never')] });
  await put(who, { name: 'off', trigger: 'plan.*', automatic: true, enabled: false, actions: [create('never')] });
  await rig.tell('plan', 'plan.created', planEvent(contextId), newId(), { tenantId: 'react' });
  await rig.tell('plan', 'plan.created', planEvent(contextId, { title: 'other' }), newId(), { tenantId: 'react' });
  await rig.tell('plan', 'plan.created', planEvent(contextId), newId(), { tenantId: 'elsewhere' });
  await rig.service.catchUp();
  // Another process, and reading from the beginning again, find it done.
  const other = await rig.join();
  await other.catchUp();
  await rig.sql`UPDATE plan.consumer_offset SET position = 0 WHERE consumer = 'core.reactions'`;
  await rig.tell('plan', 'plan.updated', planEvent(contextId, { title: 'last' }), newId(), { tenantId: 'react' });
  await rig.service.catchUp();
  await other.catchUp();
  const made1 = (await decided(who)).filter(({ execution }) => execution !== null);
  expect(made1).toHaveLength(1);
  expect(made1[0]).toMatchObject({
    ...{ eventType: 'plan.created', eventId: expect.any(String), depth: 0, rejected: [] },
    actions: [{ ruleName: 'follow', input: { input: { title: 'mine' } } }],
    execution: { ruleDepth: 1, ruleChain: [rule], createdBy: 'author' },
  });
  const no = (await decided(who)).filter(({ execution }) => execution === null);
  expect(no.map(({ rejected }) => rejected)).toEqual(
    Array(2).fill([{ ruleName: 'follow', reason: 'its condition is false' }]),
  );
  expect(await executionsOf('react')).toBe(1);
  expect(await executionsOf('elsewhere')).toBe(0);
  await rig.dismiss();
});

test('rules that call each other forth end where one has led to the event itself, whatever clients say of depth', async () => {
  const { who, contextId } = tenant('cycle');
  let calls = 0;
  // The modules tell what was changed, as part of the trace of the call.
  const telling = (type: string) => async (call: GraphCall) => {
    calls += 1;
    await rig.tell('plan', type, planEvent(contextId), newId(), {
      ...{ tenantId: 'cycle', traceparent: call.traceparent },
    });
    return made('made');
  };
  rig.answers.set('createContext', telling('plan.second'));
  rig.answers.set('deleteContext', telling('plan.first'));
  const action = { module: 'context', action: 'deleteContext', input: { contextId: 'x' } };
  const one = await put(who, { name: 'one', trigger: 'plan.first', automatic: true, actions: [create('c')] });
  const two = await put(who, { name: 'two', trigger: 'plan.second', automatic: true, actions: [action] });
  await rig.tell('plan', 'plan.first', planEvent(contextId), newId(), { tenantId: 'cycle' });
  let all = await decided(who);
  for (const until = Date.now() + 20_000; all.length < 3 && Date.now() < until; all = await decided(who))
    await rig.service.catchUp();
  expect(all.toReversed()).toMatchObject([
    { eventType: 'plan.first', depth: 0, execution: { ruleDepth: 1, ruleChain: [one] } },
    { eventType: 'plan.second', depth: 1, execution: { ruleDepth: 2, ruleChain: [one, two] } },
    {
      ...{ eventType: 'plan.first', depth: 2, execution: null, actions: [] },
      rejected: [{ ruleName: 'one', reason: 'RULE_CYCLE: it has led to this event itself' }],
    },
  ]);
  await rig.service.catchUp();
  expect(calls).toBe(2);
  expect(await executionsOf('cycle')).toBe(2);
});

test('a chain of rules is no longer than five decisions; what was refused is told', async () => {
  const { who, contextId } = tenant('chain');
  rig.answers.set('createContext', async (call: GraphCall) => {
    const { title } = call.variables['input'] as { title: string };
    await rig.tell('plan', `plan.${title}`, planEvent(contextId), newId(), {
      ...{ tenantId: 'chain', traceparent: call.traceparent },
    });
    return made('made');
  });
  const words = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  for (const [at, word] of words.slice(0, -1).entries())
    await put(who, { name: word, trigger: `plan.${word}`, automatic: true, actions: [create(words[at + 1]!)] });
  await rig.tell('plan', 'plan.a', planEvent(contextId), newId(), { tenantId: 'chain' });
  const refused = () =>
    rig.events.filter(({ tenantId, data }) => tenantId === 'chain' && data['type'] === 'orchestration.refused');
  for (const until = Date.now() + 20_000; refused().length === 0 && Date.now() < until; ) await rig.service.catchUp();
  expect(refused()).toHaveLength(1);
  expect(refused()[0]!.data['data']).toMatchObject({ eventType: 'plan.f', code: 'RULE_CYCLE' });
  expect((await decided(who)).map(({ depth }) => depth)).toEqual([4, 3, 2, 1, 0]);
});

test('a rule acts with the rights of who put it, where they see the context', async () => {
  const { who, contextId } = tenant('rights', { scopes: ['workflow:*', 'system:*'] });
  rig.answers.set('createContext', made('made'));
  await put(who, { name: 'follow', trigger: 'plan.*', automatic: true, actions: [create('c')] });
  const poor = principal('poor', { tenantId: 'rights', scopes: ['system:*'] });
  const automatic = { name: 'poor', trigger: 'plan.*', automatic: true, actions: [create('c')] };
  await expect(rig.field(poor, putRule, { input: automatic })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  // A context that the graph does not show, and an event that does not say where it belongs.
  await rig.tell('plan', 'plan.created', planEvent(newId()), newId(), { tenantId: 'rights' });
  await rig.tell('plan', 'plan.created', { plan: { title: 'x' } }, newId(), { tenantId: 'rights' });
  await rig.tell('plan', 'plan.created', planEvent(contextId), newId(), { tenantId: 'rights' });
  await rig.service.catchUp();
  const told = rig.events.filter(
    ({ tenantId, data }) => tenantId === 'rights' && data['type'] === 'orchestration.refused',
  );
  expect(told.map(({ data }) => (data['data'] as { code: string }).code)).toEqual(['NOT_FOUND', 'PERMISSION_DENIED']);
  expect(await decided(who)).toHaveLength(1);
  const mine = () =>
    rig.calls.filter(({ field, principal: by }) => field === 'createContext' && by.tenantId === 'rights');
  await expect.poll(() => mine().length, { timeout: 20_000 }).toBe(1);
  expect(mine()[0]!.principal).toMatchObject({
    subject: 'author',
    scopes: expect.arrayContaining(['workflow:*', 'system:*']),
  });
});

test('a paused execution is a point at which rules are asked; its own chain counts', async () => {
  const { who, contextId } = tenant('paused');
  await put(who, {
    ...{ name: 'help', trigger: 'workflow.paused', actions: [create(ref('input.reason'))] },
    condition: 'input.steps.s.status == "waiting"',
  });
  const definition = { steps: [{ stepId: 's', kind: 'SIGNAL', signal: 'go' }] };
  const started = await rig.field(
    who,
    `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`,
    { input: { definition, contextId } },
  );
  const executionId = String(started['execution']!['id']);
  const ask = (input: object): Promise<Json> => rig.field(who, decide, { input });
  expect(await ask({ executionId })).toMatchObject({ userErrors: [{ code: 'INVALID_STATE' }] });
  const pause = `mutation ($id: ID!) { pauseWorkflow(executionId: $id, reason: "look at it") { userErrors { code } } }`;
  await rig.field(who, pause, { id: executionId });
  expect(await ask({ executionId })).toMatchObject({
    userErrors: [],
    decision: {
      ...{ eventType: 'workflow.paused', depth: 0, executionId: null },
      actions: [{ ruleName: 'help', input: { input: { title: 'look at it' } } }],
    },
  });
  for (const bad of [{}, { executionId, eventType: 'a.b' }, { executionId, contextId }])
    expect(await ask(bad)).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  expect(await ask({ executionId: newId() })).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  await rig.sql`UPDATE core.execution SET rule_depth = 5 WHERE id = ${executionId}`;
  expect(await ask({ executionId, depth: 0 })).toMatchObject({ userErrors: [{ code: 'RULE_CYCLE' }] });
});

test('the context of an event is what it says it is', () => {
  const id = newId();
  expect(contextOf({ module: 'plan', data: { contextId: id } })).toBe(id);
  expect(contextOf({ module: 'plan', data: { plan: { contextId: id } } })).toBe(id);
  expect(contextOf({ module: 'context', data: { context: { id } } })).toBe(id);
  expect(contextOf({ module: 'plan', data: { plan: { id } } })).toBeNull();
  expect(contextOf({ module: 'plan', data: { contextId: 'no id', plan: null } })).toBeNull();
});
