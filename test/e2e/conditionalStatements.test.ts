import { afterAll, beforeAll, expect, test } from 'vitest';
import { readApi } from '../contract/walk/schema.ts';
import { seedWorld, type World } from '../contract/walk/seed.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { hostPlatform, type Platform } from '../support/platform.ts';
import { type CountingProxy, startCountingProxy } from './statements/countingProxy.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

/** What the readers ask of the context and of what lies in it, and how many statements that takes. */
const documents: readonly (readonly [document: string, statements: number])[] = [
  ['query ($contextId: ID!) { context(contextId: $contextId) { title } }', 1],
  ['{ contexts(first: 10) { totalCount nodes { title } } }', 2],
  ['query ($planId: ID!) { plan(planId: $planId) { title } plans(first: 10) { totalCount nodes { title } } }', 5],
  ['query ($traceId: ID!) { trace(traceId: $traceId) { id } traces(first: 10) { nodes { id } } }', 4],
  [
    'query ($confirmId: ID!) { confirm(id: $confirmId) { title } confirms(first: 10) { totalCount nodes { title } } }',
    5,
  ],
  ['query ($collabId: ID!) { collaboration(id: $collabId) { id } collaborations(first: 10) { nodes { id } } }', 4],
  ['query ($networkId: ID!) { network(networkId: $networkId) { id } networks(first: 10) { nodes { id } } }', 4],
  ['query ($extensionId: ID!) { extension(id: $extensionId) { id } extensions(first: 10) { nodes { id } } }', 4],
  [
    'query ($workflowExecutionId: ID!) { workflowExecution(executionId: $workflowExecutionId) { id } workflowExecutions(first: 10) { nodes { id } } }',
    2,
  ],
];

const tenants = {
  /** Nobody is listed: what lies in the context is open. */
  open: { visibility: 'TENANT', permissions: [] },
  listed: { visibility: 'PRIVATE', permissions: [{}] },
  conditional: {
    visibility: 'PRIVATE',
    permissions: [{ conditions: { expression: 'subject.department == "legal" AND environment.time > 0' } }],
  },
} as const;
type Tenant = keyof typeof tenants;

/** Statements of the platform's own clockwork, and of what is noted of requests. */
const ofReads =
  /\b(context|plan|trace|confirm|collab|network|extension|core)\.(?!event\b|job|consumer|outbox|stream_head)\w+/;
const clockwork =
  /expires_at <= |next_check_at|next_attempt_at|next_at|look_at|NOT told|consumer_offset|\.event\b|core\.setting|core\.operation_time|automatic AND enabled|_private_|pg_try_advisory|^\s*(INSERT|UPDATE|DELETE|WITH \w+ AS \((UPDATE|DELETE|INSERT))/i;

let database: TestDatabase;
let proxy: CountingProxy;
let platform: Platform;
const worlds = {} as Record<Tenant, World>;
const tokens = {} as Record<Tenant, string>;
beforeAll(async () => {
  database = await createTestDatabase('partitioned');
  proxy = await startCountingProxy(database.url);
  // Without the cache: every answer comes from the database.
  platform = await hostPlatform({ databaseUrl: proxy.url, env: { CACHE: 'off', METRIC_HISTORY: 'off' } });
  // A world is mostly waiting for what is done behind the answers.
  const settle = async (tenant: Tenant) => {
    const token = await platform.token({ tenant, subject: 'ann', roles: ['admin'] });
    worlds[tenant] = await seedWorld(platform, readApi(), { tenant, owner: 'ann', token, watched: false }, 1);
    expect(worlds[tenant].failures).toEqual([]);
    tokens[tenant] = await platform.token({ tenant, subject: 'eve', roles: ['member'] });
    const entry = { principal: 'member', principalType: 'ROLE', resource: 'context', actions: ['READ'] };
    const { visibility, permissions } = tenants[tenant];
    const { data } = await platform.query<Json>(
      `mutation ($id: ID!, $context: ContextPatch!, $subject: SubjectPatch!) {
        updateContext(contextId: $id, patch: $context) { userErrors { code } } updateSubject(subjectId: "eve", patch: $subject) { userErrors { code } } }`,
      {
        id: worlds[tenant].ids['contextId'],
        context: { accessControl: { visibility, permissions: permissions.map((more) => ({ ...entry, ...more })) } },
        subject: { attributes: { department: 'legal' } },
      },
      { token },
    );
    expect([data.updateContext.userErrors, data.updateSubject.userErrors]).toEqual([[], []]);
  };
  await Promise.all((Object.keys(tenants) as Tenant[]).map(settle));
}, 300_000);
afterAll(async () => {
  await platform?.close();
  await proxy?.[Symbol.asyncDispose]();
  await database?.drop();
});

async function ask(tenant: Tenant, document: string): Promise<Json> {
  const names = [...document.matchAll(/\$(\w+): ID!/g)].map(([, name]) => name!);
  const variables = Object.fromEntries(names.map((name) => [name, worlds[tenant].ids[name]]));
  const { data, errors } = await platform.query<Json>(document, variables, { token: tokens[tenant] });
  expect(errors).toEqual([]);
  return data;
}

/** Statements of the second time it is asked: the first fills what is read once in a process. */
async function statementsOf(tenant: Tenant, document: string): Promise<readonly string[]> {
  await ask(tenant, document);
  proxy.take();
  await ask(tenant, document);
  return proxy
    .take()
    .filter((text) => ofReads.test(text) && !clockwork.test(text))
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .sort();
}

test.each(documents)(
  '%s takes as many statements whatever the list shows',
  async (document, expected) => {
    for (const tenant of Object.keys(tenants) as Tenant[])
      await expect
        .poll(
          async () =>
            Object.values<Json>(await ask(tenant, document)).every(
              (value) => value !== null && value.nodes?.length !== 0,
            ),
          { timeout: 10_000 },
        )
        .toBe(true);
    // Asked again where a timer's statement came between.
    await expect
      .poll(
        async () => {
          const [open, listed, conditional] = [
            await statementsOf('open', document),
            await statementsOf('listed', document),
            await statementsOf('conditional', document),
          ];
          return [open.length, listed.length, JSON.stringify(conditional) === JSON.stringify(listed)];
        },
        { timeout: 20_000 },
      )
      .toEqual([expected, expected, true]);
  },
  60_000,
);
