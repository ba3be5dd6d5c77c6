import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type BeforeHooks, createBeforeHooks } from '#shared/beforeHooks.ts';
import { createLocalBus } from '#shared/bus.ts';
import type { Consumer } from '#shared/consumer.ts';
import { createRequestScope } from '#shared/context.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createTestDatabase } from '../support/database.ts';

interface Asked {
  readonly input: Readonly<Record<string, unknown>>;
  readonly principal: Principal;
}

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let sql: Sql;
let hooks: BeforeHooks;
let consumer: Consumer;
let answer: () => unknown;
const asked: Asked[] = [];
const [contextId, elsewhere] = [newId(), newId()];

beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'hooks-test', max: 4 });
  hooks = createBeforeHooks(
    {
      sql,
      graph: {
        async execute(_document: string, { input }: { input: Asked['input'] }, principal: Principal) {
          asked.push({ input, principal });
          return answer();
        },
      },
      logger: pino({ level: 'silent' }),
      bus: createLocalBus((error) => {
        throw error;
      }),
      sqlOf: () => sql,
    } as unknown as ModuleRuntime,
    'plan',
  );
  consumer = await hooks.follow();
});
afterAll(async () => {
  await consumer.close();
  await sql.end({ timeout: 5 });
  await database.drop();
});
beforeEach(() => {
  asked.length = 0;
  answer = () => said({});
});

const said = (more: object) => ({
  data: {
    runExtensionHooks: { payload: { n: 1 }, vetoed: false, vetoReason: null, vetoedBy: null, userErrors: [], ...more },
  },
  errors: [],
});

/** An extension tells what has become of it, as its module does. */
async function tell(id: string, runtimeState: string, listens?: readonly object[], type = 'extension.status.changed') {
  const data = { extension: { id, contextId, runtimeState }, ...(listens === undefined ? {} : { listens }) };
  await sql.begin((tx) =>
    appendChange(tx, 'extension', [
      { tenantId: 'one', actor: 'boss', events: [{ streamId: id, type, data, tags: [] }] },
    ]),
  );
  await consumer.catchUp();
}

const scopeOf = (tenantId: string) =>
  createRequestScope({
    principal: createPrincipal({ tenantId, subject: 'ann', scopes: ['plan:execute'] }),
    correlationId: newId(),
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  });
const ask = (more: Partial<Parameters<BeforeHooks['ask']>[1]> = {}, tenantId = 'one') =>
  hooks.ask(scopeOf(tenantId), {
    point: 'plan.before_execution',
    contextId,
    payload: { n: 1 },
    read: (payload) => payload,
    ...more,
  });
const codeOf = (asking: Promise<unknown>) =>
  asking.then(
    () => null,
    (error: { code: string }) => error.code,
  );
const listening = (required: boolean) => [{ point: 'plan.before_execution', required }];

test('nobody is called where nobody listens: not in this context, before this point, or of this tenant', async () => {
  const id = newId();
  expect([await ask(), await hooks.isHeard('one', 'plan.before_execution')]).toEqual([null, false]);
  await tell(id, 'active', listening(false));
  expect(await hooks.isHeard('one', 'plan.before_execution')).toBe(true);
  expect(await hooks.isHeard('one', 'role.before_assignment')).toBe(false);
  expect(await hooks.isHeard('two', 'plan.before_execution')).toBe(false);
  await ask({ contextId: elsewhere });
  await ask({ point: 'role.before_assignment' });
  await ask({}, 'two');
  expect(asked).toEqual([]);
  await ask();
  expect(asked.map(({ input, principal: { subject, scopes } }) => ({ input, subject, scopes }))).toEqual([
    {
      input: { contextId, point: 'plan.before_execution', payload: { n: 1 }, timeoutMs: 1_000 },
      subject: 'ann',
      scopes: ['extension:execute', 'plan:execute'],
    },
  ]);
  await tell(id, 'inactive');
  await ask();
  expect(asked.length).toBe(1);
});

test('the bound of an API token goes along: roles of its subject open no more to the extension', async () => {
  const id = newId();
  await tell(id, 'active', listening(false));
  const { principal, ...scope } = scopeOf('one');
  const bounded = createPrincipal({ ...principal, isBounded: true });
  for (const each of [principal, bounded])
    await hooks.ask(
      { ...scope, principal: each },
      { point: 'plan.before_execution', contextId, payload: { n: 1 }, read: (payload) => payload },
    );
  expect(asked.map(({ principal: { isBounded = false } }) => isBounded)).toEqual([false, true]);
  await tell(id, 'inactive');
});

test('what runs listens until it ends: changes in between say nothing of it, a reload says it anew', async () => {
  const id = newId();
  await tell(id, 'active', listening(false));
  await tell(id, 'reloading');
  expect(await hooks.isHeard('one', 'plan.before_execution')).toBe(true);
  await tell(id, 'active', [], 'extension.reloaded');
  expect(await hooks.isHeard('one', 'plan.before_execution')).toBe(false);
  await tell(id, 'active', listening(false), 'extension.reloaded');
  expect(await hooks.isHeard('one', 'plan.before_execution')).toBe(true);
  await tell(id, 'uninstalled', undefined, 'extension.uninstalled');
  expect(await hooks.isHeard('one', 'plan.before_execution')).toBe(false);
});

test('a change is read, a veto refuses, and asking in the name of another takes nothing of the caller along', async () => {
  const id = newId();
  await tell(id, 'active', listening(false));
  expect(await ask()).toBeNull();
  answer = () => said({ payload: { n: 2 } });
  expect(await ask({ inNameOf: 'owner' })).toEqual({ n: 2 });
  expect(asked.at(-1)!.principal).toMatchObject({ subject: 'owner', scopes: ['context:read', 'extension:execute'] });
  answer = () => said({ vetoed: true, vetoReason: 'not today', vetoedBy: id });
  await expect(ask()).rejects.toMatchObject({
    code: 'HOOK_VETOED',
    message: 'an extension refuses: not today',
    details: { point: 'plan.before_execution', extensionId: id },
  });
  await tell(id, 'quarantined');
});

test('without an answer all goes on, unless one of those who listen is required', async () => {
  const [optional, required] = [newId(), newId()];
  const failures: Readonly<Record<string, () => unknown>> = {
    'the way there': () => {
      throw new Error('connection refused');
    },
    'an error of the graph': () => ({ data: null, errors: [{ message: 'no', code: 'UNAVAILABLE' }] }),
    'an error in the payload': () => said({ userErrors: [{ code: 'NOT_FOUND', message: 'no such context' }] }),
    nothing: () => ({ data: { runExtensionHooks: null }, errors: [] }),
  };
  await tell(optional, 'active', listening(false));
  for (const [name, failure] of Object.entries(failures)) {
    answer = failure;
    expect([name, await ask()]).toEqual([name, null]);
  }
  answer = () => said({ payload: { n: 'x' } });
  const refuses = {
    read: () => {
      throw new Error('not a number');
    },
  };
  expect(await ask(refuses)).toBeNull();
  await tell(required, 'active', listening(true));
  for (const [name, failure] of Object.entries(failures)) {
    answer = failure;
    expect([name, await codeOf(ask())]).toEqual([name, 'UNAVAILABLE']);
  }
  answer = () => said({ payload: { n: 'x' } });
  expect(await codeOf(ask(refuses))).toBe('UNAVAILABLE');
  // What was not changed is not read.
  answer = () => said({});
  expect(await ask(refuses)).toBeNull();
});
