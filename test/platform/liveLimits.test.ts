import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostPlatform, type Platform } from '../support/platform.ts';
import { type Json, until } from './rig.ts';

let platform: Platform;
let operator: string;
let user: string;
beforeAll(async () => {
  // Gateway, contexts and the platform's subgraph are processes of their own, and no Redis connects them.
  platform = await hostPlatform({ mode: 'distributed', env: { OPERATOR_TENANT: 'ops' } });
  operator = await platform.token({ tenant: 'ops', subject: 'olga', roles: ['admin'] });
  user = await platform.token({ tenant: 'users', subject: 'ann', roles: ['member'] });
}, 300_000);
afterAll(() => platform?.close());

const codes = async (document: string, token: string): Promise<readonly string[]> => {
  const { data, errors } = await platform.query<Json>(document, {}, { token });
  const payloads = Object.values(data ?? {}) as ({ userErrors?: { code: string }[] } | null)[];
  return [
    ...errors.map(({ extensions }) => extensions.code),
    ...payloads.flatMap((payload) => payload?.userErrors ?? []).map(({ code }) => code),
  ];
};
const set = (key: string, value: number) =>
  codes(
    `mutation { setConfig(input: { key: "${key}", value: ${value}, scope: GLOBAL }) { userErrors { code } } }`,
    operator,
  );
const restore = (key: string) =>
  codes(`mutation { deleteConfig(key: "${key}", scope: GLOBAL) { userErrors { code } } }`, operator);
/** A second, and what the busy machine needs to ask. */
const followMs = 3_000;
let asked = 0;
/** No two alike: what is refused or kept is decided anew. */
const fresh = (document: (n: number) => string) => () => {
  asked += 1;
  return codes(document(asked), user);
};

it('limits of the gateway and quotas of modules follow the configuration without a restart', async () => {
  const list = fresh((n) => `{ n${n}: contexts(first: 100) { nodes { id title summary status } } }`);
  expect(await list()).toEqual([]);
  expect(await set('MAX_QUERY_COST', 60)).toEqual([]);
  await until(list, (found) => found[0] === 'QUERY_LIMIT_EXCEEDED', followMs);
  expect(await restore('MAX_QUERY_COST')).toEqual([]);
  await until(list, (found) => found.length === 0, followMs);

  const create = fresh(
    (n) =>
      `mutation { createContext(input: { title: "c ${n}", root: { domain: "d", environment: "e" } }) { userErrors { code } } }`,
  );
  expect(await create()).toEqual([]);
  expect(await set('QUOTA_CONTEXTS_PER_USER', 1)).toEqual([]);
  await until(create, (found) => found[0] === 'QUOTA_EXCEEDED', followMs);
  expect(await restore('QUOTA_CONTEXTS_PER_USER')).toEqual([]);
  await until(create, (found) => found.length === 0, followMs);
  expect(
    await codes(
      'mutation { setConfig(input: { key: "PLAN_SESSIONS", value: 1, scope: GLOBAL }) { userErrors { code } } }',
      user,
    ),
  ).toEqual(['PERMISSION_DENIED']);
});
