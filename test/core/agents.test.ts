import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import { coreSubscriptions } from '../../subgraphs/core/subscriptions.ts';
import { alice, type CoreRig, errors, openCoreRig } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: false });
});
afterAll(() => rig[Symbol.asyncDispose]());

const { tenantId } = alice;
const admin = createPrincipal({ tenantId, subject: 'admin', scopes: ['*'] });
const agentOf = (subject: string) => createPrincipal({ tenantId, subject, scopes: ['agent:read', 'agent:register'] });
const shape = 'agentId name capabilities status capacity activeTasks load version';
const register = `mutation ($input: RegisterCoreAgentInput!) { registerAgent(input: $input) { agent { ${shape} } ${errors} } }`;
const beat = `mutation ($input: CoreAgentHeartbeatInput!) { agentHeartbeat(input: $input) { agent { ${shape} } ${errors} } }`;
const discover = 'query ($query: CoreAgentQuery) { discoverAgents(query: $query) { agentId } }';
const typesOf = (agentId: string) =>
  rig.events.flatMap(({ type, data }) =>
    (data['agent'] as { agentId?: string } | undefined)?.agentId === agentId ? [type] : [],
  );

test('an agent registers itself, says how it does, and leaves', async () => {
  const coder = agentOf('coder');
  const input = { name: 'Coder', capabilities: ['typescript', 'review'], capacity: 2, idempotencyKey: 'agents-1' };
  const first = await rig.field(coder, register, { input });
  expect(first).toMatchObject({
    userErrors: [],
    agent: { agentId: 'coder', capabilities: ['review', 'typescript'], status: 'ONLINE', capacity: 2, version: 1 },
  });
  expect(await rig.field(coder, register, { input })).toEqual(first);
  expect(await rig.field(coder, beat, { input: { load: 0.25, activeTasks: 1 } })).toMatchObject({
    agent: { status: 'ONLINE', load: 0.25, activeTasks: 1, version: 1 },
  });
  expect(await rig.field(coder, beat, { input: { draining: true } })).toMatchObject({ agent: { status: 'DRAINING' } });
  expect(await rig.field(coder, discover, { query: { capabilities: ['review'] } })).toEqual([]);
  expect(await rig.field(coder, `mutation { unregisterAgent(reason: "done") { agentId ${errors} } }`)).toMatchObject({
    agentId: 'coder',
    userErrors: [],
  });
  expect(await rig.field(coder, beat, { input: {} })).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  expect(typesOf('coder')).toEqual(['agent.registered', 'agent.changed', 'agent.unregistered']);
});

test('nobody registers another one, unless it may manage agents; other tenants see nothing', async () => {
  const input = { agentId: 'somebody', name: 'Somebody' };
  await expect(rig.field(agentOf('anybody'), register, { input })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await rig.field(admin, register, { input })).toMatchObject({ agent: { agentId: 'somebody' } });
  const foreign = createPrincipal({ tenantId: 'elsewhere', subject: 'somebody', scopes: ['*'] });
  expect(await rig.field(foreign, '{ registeredAgent(agentId: "somebody") { agentId } }')).toBeNull();
  expect(await rig.field(foreign, beat, { input: {} })).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
});

test('who is found can do it all and has room; the one with the most room comes first', async () => {
  for (const [name, capacity, activeTasks] of [
    ['busy', 4, 3],
    ['idle', 4, 0],
    ['full', 1, 1],
  ] as const) {
    await rig.field(agentOf(name), register, { input: { name, capabilities: ['draw', 'paint'], capacity } });
    await rig.field(agentOf(name), beat, { input: { activeTasks } });
  }
  await rig.field(agentOf('half'), register, { input: { name: 'half', capabilities: ['draw'], capacity: 8 } });
  const found = (query: unknown) => rig.field(admin, discover, { query });
  expect(await found({ capabilities: ['paint', 'draw'] })).toEqual([{ agentId: 'idle' }, { agentId: 'busy' }]);
  expect(await found({ capabilities: ['paint'], free: 2 })).toEqual([{ agentId: 'idle' }]);
  const page =
    'query ($after: String) { registeredAgents(filter: { capability: "paint" }, first: 2, after: $after) { nodes { agentId } pageInfo { hasNextPage endCursor } } }';
  const first = await rig.field(admin, page);
  expect(first['nodes']).toEqual([{ agentId: 'full' }, { agentId: 'idle' }]);
  expect(await rig.field(admin, page, { after: first['pageInfo']!['endCursor'] })).toMatchObject({
    nodes: [{ agentId: 'busy' }],
    pageInfo: { hasNextPage: false },
  });
});

test('an agent that falls silent is lost, and back with its next sign of life', async () => {
  const quiet = agentOf('quiet');
  await rig.field(quiet, register, { input: { name: 'quiet', capabilities: ['listen'], ttlMs: 1_000 } });
  await rig.sql.unsafe(`UPDATE core.agent SET expires_at = now() - interval '1 second' WHERE agent_id = 'quiet'`);
  expect(await rig.field(admin, discover, { query: { capabilities: ['listen'] } })).toEqual([]);
  await rig.service.agents.sweep();
  await rig.service.agents.sweep();
  expect(await rig.field(admin, '{ registeredAgent(agentId: "quiet") { status } }')).toEqual({ status: 'LOST' });
  expect(await rig.field(quiet, beat, { input: {} })).toMatchObject({ agent: { status: 'ONLINE' } });
  expect(typesOf('quiet')).toEqual(['agent.registered', 'agent.lost', 'agent.returned']);
});

test('an agent that was lost is back too when it registers anew', async () => {
  const again = agentOf('again');
  const input = { name: 'again', capabilities: ['listen'] };
  await rig.field(again, register, { input });
  await rig.sql.unsafe(`UPDATE core.agent SET expires_at = now() - interval '1 second' WHERE agent_id = 'again'`);
  await rig.service.agents.sweep();
  expect(await rig.field(again, register, { input })).toMatchObject({ agent: { status: 'ONLINE', version: 3 } });
  await rig.field(again, register, { input });
  expect(typesOf('again')).toEqual(['agent.registered', 'agent.lost', 'agent.returned', 'agent.changed']);
});

test('heartbeats of one batch leave the last figure of each that was said', async () => {
  await rig.field(agentOf('chatty'), register, { input: { name: 'chatty', capacity: 9 } });
  const beats = [
    { load: 0.1, activeTasks: 1 },
    { load: 0.75, activeTasks: null },
    { load: null, activeTasks: 4 },
    { load: null, activeTasks: null },
  ];
  const told = beats.map((one) => rig.service.agents.beats.add({ tenantId, agentId: 'chatty', ...one }));
  expect(await Promise.all(told)).toEqual(beats.map(() => 'online'));
  expect(await rig.field(admin, '{ registeredAgent(agentId: "chatty") { load activeTasks } }')).toEqual({
    load: 0.75,
    activeTasks: 4,
  });
});

test('followers of a capability hear of those that have it', async () => {
  const { admit } = coreSubscriptions['agentsChanged']!;
  const gate = await admit(alice, { capability: 'listen' }, { sql: rig.sql });
  const told = rig.events.filter(({ type }) => type.startsWith('agent.'));
  expect(
    new Set(
      told
        .filter((event) => gate.decide(event) === 'deliver')
        .map(({ data }) => (data['agent'] as { agentId: string }).agentId),
    ),
  ).toEqual(new Set(['quiet', 'again']));
});
