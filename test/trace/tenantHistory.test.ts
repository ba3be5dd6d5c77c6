import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

let platform: Platform;
const tokens: Record<string, string> = {};
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  const tenant = 'history';
  tokens['olivia'] = await platform.token({ tenant, subject: 'olivia', roles: ['admin'] });
  for (const subject of ['local', 'wide']) tokens[subject] = await platform.token({ tenant, subject, roles: [] });
});
afterAll(() => platform.close());

const ask = (who: string, document: string, variables: Readonly<Record<string, unknown>> = {}) =>
  platform.query<Json>(document, variables, { token: tokens[who]! });

async function done(document: string, variables: Readonly<Record<string, unknown>>): Promise<Json> {
  const { data, errors } = await ask('olivia', document, variables);
  expect(errors).toEqual([]);
  const payload: Json = Object.values(data)[0];
  expect(payload.userErrors).toEqual([]);
  return payload;
}

const assign = (input: object) =>
  done('mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } userErrors { code } } }', {
    input,
  });

test('who reads traces in one context reads that one’s history and not the tenant’s, nor what it follows', async () => {
  const { context } = await done(
    `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }`,
    { input: { title: 'A place', root: { domain: 'd', environment: 'e' } } },
  );
  const { role } = await done(
    `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code } } }`,
    {
      input: {
        name: 'reader',
        permissions: ['trace', 'context'].map((resourceType) => ({ resourceType, actions: ['*'] })),
      },
    },
  );
  await assign({ roleId: role.id, subjectId: 'local', contextId: context.id });
  await assign({ roleId: role.id, subjectId: 'wide' });
  // The same subject again, whose stream told of the context first.
  const { role: second } = await done(
    `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code } } }`,
    { input: { name: 'idler', permissions: [] } },
  );
  await assign({ roleId: second.id, subjectId: 'local' });

  const list = `query { traces(filter: { type: [AUDIT], text: "tenant history" }) { nodes { id contextId events(first: 100) { nodes { type data } } } } }`;
  const types = (trace: Json) => trace?.events.nodes.map(({ type }: Json) => type) ?? [];
  const assigned = (trace: Json) => types(trace).filter((type: string) => type === 'role.assigned').length;
  await expect
    .poll(async () => assigned((await ask('olivia', list)).data.traces.nodes[0]), { timeout: 20_000 })
    .toBe(2);
  const [own] = (await ask('olivia', list)).data.traces.nodes;
  expect(own.contextId).toBeNull();
  expect(types(own).filter((type: string) => type === 'role.created')).toHaveLength(2);
  expect(JSON.stringify(own)).not.toContain(context.id);
  await expect
    .poll(async () => (await ask('wide', list)).data?.traces.nodes.map(({ id }: Json) => id), { timeout: 20_000 })
    .toEqual([own.id]);

  const read = 'query ($id: ID!) { trace(traceId: $id) { id events(first: 100) { nodes { type } } } }';
  const codes = ({ errors }: Json) => errors.map(({ extensions }: Json) => extensions.code);
  expect(codes(await ask('local', list))).toEqual(['PERMISSION_DENIED']);
  expect(codes(await ask('local', read, { id: own.id }))).toEqual(['PERMISSION_DENIED']);
  const inContext = await ask(
    'local',
    'query ($id: ID!) { context(contextId: $id) { traces { nodes { id events(first: 100) { nodes { type } } } } } }',
    { id: context.id },
  );
  expect(inContext.errors).toEqual([]);
  expect(inContext.data.context.traces.nodes.map(assigned)).toEqual([1]);

  const follow = (who: string) =>
    subscribe<Json>({
      url: platform.url,
      query: 'subscription ($id: ID!) { traceUpdates(traceId: $id) { type events { type } } }',
      variables: { id: own.id },
      token: tokens[who]!,
    });
  const [outside, inside] = [follow('local'), follow('wide')];
  await expect.poll(() => outside.errors.length, { timeout: 20_000 }).toBe(1);
  // Nobody says when it follows: roles are made until it has heard of one.
  await expect
    .poll(
      async () => {
        const input = { name: `later-${crypto.randomUUID().slice(0, 8)}`, permissions: [] };
        await done(
          `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code } } }`,
          { input },
        );
        return JSON.stringify(inside.payloads);
      },
      { timeout: 20_000, interval: 300 },
    )
    .toContain('role.created');
  expect([outside.payloads, inside.errors]).toEqual([[], []]);
  await Promise.all([outside.close(), inside.close()]);
}, 60_000);

test('what a request does stands on the trace that its header names', async () => {
  const { context } = await done(
    `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }`,
    { input: { title: 'Another place', root: { domain: 'd', environment: 'e' } } },
  );
  const w3cId = crypto.randomUUID().replaceAll('-', '');
  const traceparent = `00-${w3cId}-00f067aa0ba902b7-01`;
  const { trace } = await done(
    'mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } userErrors { code } } }',
    { input: { contextId: context.id, name: 'work', traceparent } },
  );
  const answer = await platform.query<Json>(
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } userErrors { code } } }`,
    { input: { contextId: context.id, title: 'p', objective: 'o', steps: [{ description: 's' }] } },
    { token: tokens['olivia']!, headers: { traceparent } },
  );
  expect(answer.data.createPlan.userErrors).toEqual([]);
  const read = async () =>
    (
      await ask('olivia', 'query ($id: ID!) { trace(traceId: $id) { events { nodes { type data } } } }', {
        id: trace.id,
      })
    ).data.trace.events.nodes;
  await expect.poll(async () => (await read()).length, { timeout: 20_000 }).toBe(1);
  expect((await read())[0]).toMatchObject({
    type: 'plan.created',
    data: { id: answer.data.createPlan.plan.id, spanId: expect.stringMatching(/^[0-9a-f]{16}$/) },
  });
});
