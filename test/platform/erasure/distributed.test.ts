import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type HostedPlatform, hostPlatform } from '../../support/platform.ts';
import { type Json, until } from '../rig.ts';
import { ask, erase, placesOf } from './rig.ts';

const subject = 'ann-x7@example.org';
const apart = ['dialog', 'plan', 'trace'] as const;
let platform: HostedPlatform;
const databases: TestDatabase[] = [];
const clients: Sql[] = [];

beforeAll(async () => {
  const env: Record<string, string> = { METRIC_HISTORY: 'off', LOG_STORE: 'off', TRACE_HISTORY: 'off' };
  for (const module of apart) {
    const database = await createTestDatabase('partitioned');
    databases.push(database);
    env[`DATABASE_URL_${module.toUpperCase()}`] = database.url;
  }
  platform = await hostPlatform({ mode: 'distributed', env });
  for (const url of [platform.databaseUrl, ...databases.map((database) => database.url)])
    clients.push(postgres(url, { max: 1, onnotice: () => {} }));
}, 120_000);
afterAll(async () => {
  await Promise.all(clients.map((sql) => sql.end()));
  await platform.close();
  await Promise.all(databases.map((database) => database.drop()));
});

it('an erasure reaches modules of other processes and their databases, and what is cached of the tenant alone', async () => {
  const as = (tenant: string, who: string) => platform.token({ tenant, subject: who, roles: ['admin'] });
  const boss = await as('here', 'boss');
  const made = async (
    tenant: string,
  ): Promise<{ readonly token: string; readonly dialogId: string; readonly planId: string }> => {
    const token = await as(tenant, subject);
    const done = async (field: string, type: string, of: string, input: Json): Promise<string> => {
      const { [field]: payload } = await ask(
        platform,
        token,
        `mutation ($input: ${type}!) { ${field}(input: $input) { ${of} { id } userErrors { code message } } }`,
        { input },
      );
      expect(payload.userErrors, field).toEqual([]);
      return payload[of].id;
    };
    const contextId = await done('createContext', 'CreateContextInput', 'context', {
      title: 'Launch',
      root: { domain: 'd', environment: 'e' },
    });
    const dialogId = await done('createDialog', 'CreateDialogInput', 'dialog', {
      contextId,
      name: 'Talk',
      participants: [{ subject, type: 'HUMAN', role: 'FACILITATOR' }],
    });
    await done('sendMessage', 'SendMessageInput', 'message', { dialogId, content: { text: `signed ${subject}` } });
    const planId = await done('createPlan', 'CreatePlanInput', 'plan', {
      contextId,
      title: 'p',
      objective: `what ${subject} wants`,
      steps: [{ description: 'work' }],
    });
    return { token, dialogId, planId };
  };
  const [here, elsewhere] = [await made('here'), await made('elsewhere')];
  const shown = async (token: string, { dialogId, planId }: { dialogId: string; planId: string }): Promise<string> =>
    JSON.stringify(
      await ask(
        platform,
        token,
        'query ($dialog: ID!, $plan: ID!) { dialog(id: $dialog) { messages(first: 5) { nodes { senderSubject content { text } } } } plan(planId: $plan) { objective createdBy } }',
        { dialog: dialogId, plan: planId },
      ),
    );
  // Asked for twice, so that it stands in the cache.
  for (let round = 0; round < 2; round += 1) {
    expect(await shown(boss, here)).toContain(subject);
    expect(await shown(elsewhere.token, elsewhere)).toContain(subject);
  }

  const erased = await erase(platform, boss, { subject });
  expect(erased).toMatchObject({ status: 'DONE', progress: 1 });
  const modules = new Set(erased.counts.filter(({ rows }: Json) => rows > 0).map(({ module }: Json) => module));
  for (const module of ['context', ...apart.filter((each) => each !== 'trace')]) expect(modules).toContain(module);

  // What is cached ends when the gateway, in a process of its own, has heard of the end.
  const after = await until(
    () => shown(boss, here),
    (answer) => !answer.includes(subject),
  );
  expect(after).toContain(erased.pseudonym);
  expect(await shown(elsewhere.token, elsewhere)).toContain(subject);
  const stays = new Set(
    erased.exemptions.flatMap(({ module, table, columns }: Json) =>
      columns.map((column: string) => `${module}.${table}.${column}`),
    ),
  );
  for (const sql of clients) {
    const places = await placesOf(sql, 'here', subject, erased.pseudonym);
    expect(places.filter((place) => !stays.has(place) && !place.includes('.audit.'))).toEqual([]);
  }
});
