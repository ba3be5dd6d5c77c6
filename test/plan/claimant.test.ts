import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;

let platform: Platform;
const tokens = new Map<string, string>();
const contexts: string[] = [];
let surveyor: string;

beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  const tenant = 'claims';
  tokens.set('boss', await platform.token({ tenant, subject: 'boss', roles: ['admin'] }));
  for (const subject of ['scout', 'other', 'skilled'])
    tokens.set(subject, await platform.token({ tenant, subject, roles: ['agent'] }));
  for (const _context of [1, 2]) {
    const { context } = await done('createContext', 'CreateContextInput', 'context { id }', {
      title: 'C',
      root: { domain: 'd', environment: 'e' },
    });
    contexts.push((context as { id: string }).id);
  }
  surveyor = await role('surveyor');
  const chief = await role('chiefsurveyor', { parents: [{ roleId: surveyor }] });
  await done('assignRole', 'AssignRoleInput', 'assignment { id }', {
    roleId: chief,
    subjectId: 'scout',
    contextId: contexts[0],
  });
}, 60_000);
afterAll(() => platform?.close());

async function send(subject: string, document: string, variables: Json): Promise<Json> {
  const { data, errors } = await platform.query(document, variables, { token: tokens.get(subject)! });
  expect(errors, document).toEqual([]);
  const payload = Object.values(data!)[0] as Json;
  expect(payload['userErrors'], document).toEqual([]);
  return payload;
}

const done = (field: string, type: string, selection: string, input: Json) =>
  send('boss', `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`, {
    input,
  });

async function role(name: string, more: Json = {}): Promise<string> {
  const payload = await done('createRole', 'CreateRoleInput', 'role { id }', {
    name,
    permissions: [],
    ...more,
  });
  return (payload['role'] as { id: string }).id;
}

/** A run of one step in the context; its id. */
async function run(contextId: string, step: Json): Promise<string> {
  const { plan } = await done('createPlan', 'CreatePlanInput', 'plan { id }', {
    contextId,
    title: 'P',
    objective: 'O',
    steps: [{ id: newId(), description: 'Only step', ...step }],
  });
  const planId = (plan as { id: string }).id;
  await send('boss', 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code message } } }', {
    id: planId,
  });
  const { execution } = await done('executePlan', 'ExecutePlanInput', 'execution { id }', { planId });
  return (execution as { id: string }).id;
}

async function claims(subject: string, executionId: string, stated: Json = {}): Promise<boolean> {
  const { lease } = await send(
    subject,
    `mutation ($executionId: ID!, $roles: [String!], $capabilities: [String!]) {
      claimStep(executionId: $executionId, roles: $roles, capabilities: $capabilities) { lease { stepId } userErrors { code } } }`,
    { executionId, ...stated },
  );
  return lease !== null;
}

test('a step that asks for a role is handed only to who has it in the context, whatever the caller says', async () => {
  const [here, there] = [
    await run(contexts[0]!, { agentRole: 'surveyor' }),
    await run(contexts[1]!, { agentRole: surveyor }),
  ];
  expect(await claims('other', here, { roles: ['surveyor', surveyor] })).toBe(false);
  // Held in the other context only.
  expect(await claims('scout', there, { roles: ['surveyor', surveyor] })).toBe(false);
  expect(await claims('scout', there)).toBe(false);
  // What is named narrows.
  expect(await claims('scout', here, { roles: ['chiefsurveyor'] })).toBe(false);
  expect(await claims('scout', here, { roles: [] })).toBe(false);
  // Held by inheritance, asked for by name; then by id.
  expect(await claims('scout', here)).toBe(true);
  expect(await claims('scout', await run(contexts[0]!, { agentRole: surveyor }), { roles: [surveyor] })).toBe(true);
});

test('roles of the token count, as its scopes do', async () => {
  expect(await claims('other', await run(contexts[1]!, { agentRole: 'agent' }))).toBe(true);
});

test('recorded capabilities count in place of stated ones; stated ones where nothing is recorded', async () => {
  await send(
    'boss',
    'mutation ($patch: SubjectPatch!) { updateSubject(subjectId: "skilled", patch: $patch) { userErrors { code message } } }',
    { patch: { capabilities: [{ name: 'weld', level: 'EXPERT' }] } },
  );
  const paint = await run(contexts[1]!, { requiredCapabilities: ['paint'] });
  expect(await claims('skilled', paint, { capabilities: ['paint'] })).toBe(false);
  expect(await claims('other', paint)).toBe(false);
  expect(await claims('other', paint, { capabilities: ['paint'] })).toBe(true);
  const weld = await run(contexts[1]!, { requiredCapabilities: ['weld'] });
  expect(await claims('skilled', weld, { capabilities: [] })).toBe(false);
  expect(await claims('skilled', weld)).toBe(true);
});

test('who administers the plan claims for another: by the roles and capabilities that are recorded of that one', async () => {
  const claimFor = async (subject: string, executionId: string, agentId: string) =>
    platform.query<{ claimStep: { lease: { agentId: string } | null; userErrors: { code: string }[] } | null }>(
      `mutation ($executionId: ID!, $agentId: ID!) {
        claimStep(executionId: $executionId, agentId: $agentId) { lease { agentId } userErrors { code } } }`,
      { executionId, agentId },
      { token: tokens.get(subject)! },
    );
  const here = await run(contexts[0]!, { agentRole: 'surveyor' });
  const refused = await claimFor('other', here, 'scout');
  expect(refused.errors[0]?.extensions.code).toBe('PERMISSION_DENIED');
  expect((await claimFor('boss', here, 'other')).data!.claimStep!.lease).toBeNull();
  expect((await claimFor('boss', here, 'scout')).data!.claimStep!.lease).toEqual({ agentId: 'scout' });
  const weld = await run(contexts[1]!, { requiredCapabilities: ['weld'] });
  expect((await claimFor('boss', weld, 'scout')).data!.claimStep!.lease).toBeNull();
  expect((await claimFor('boss', weld, 'skilled')).data!.claimStep!.lease).toEqual({ agentId: 'skilled' });
  // A role that grants it in one context lets its holder act for others there alone.
  const deputy = await role('deputy', { permissions: [{ resourceType: 'plan', actions: ['admin', 'work'] }] });
  await done('assignRole', 'AssignRoleInput', 'assignment { id }', {
    ...{ roleId: deputy, subjectId: 'other', contextId: contexts[1] },
  });
  const there = await run(contexts[1]!, {});
  expect((await claimFor('other', there, 'scout')).data!.claimStep!.lease).toEqual({ agentId: 'scout' });
  const elsewhere = await run(contexts[0]!, {});
  expect((await claimFor('other', elsewhere, 'scout')).errors[0]?.extensions.code).toBe('PERMISSION_DENIED');
});
