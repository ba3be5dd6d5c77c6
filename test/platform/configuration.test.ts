import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { followConfig } from '#shared/liveConfig.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ env: { OPERATOR_TENANT: 'ops' } });
});
afterAll(() => rig[Symbol.asyncDispose]());

const errors = 'userErrors { code path message }';
const set = async (who: ReturnType<typeof principal>, input: Json, expectedVersion?: number): Promise<Json> =>
  (
    await rig.ask(
      who,
      `mutation ($input: SetConfigInput!, $expectedVersion: Int) { setConfig(input: $input, expectedVersion: $expectedVersion) {
         entry { key value secret version scope } ${errors} } }`,
      { input, expectedVersion },
    )
  ).setConfig;
const config = async (who: ReturnType<typeof principal>, key: string, more: Json = {}): Promise<Json> =>
  (
    await rig.ask(
      who,
      `query ($key: String!, $module: String, $environment: String) { config(key: $key, module: $module, environment: $environment) { value source entry { version scope } } }`,
      { key, ...more },
    )
  ).config;
const mutate = async (who: ReturnType<typeof principal>, field: string, args: string): Promise<Json> =>
  (await rig.ask(who, `mutation { ${field}(${args}) { entry { value version deleted } ${errors} } }`))[field];

describe('values', () => {
  it('are versioned, changed by version, deleted, rolled back, and told', async () => {
    const who = principal('ann', 'versions');
    expect(await config(who, 'shop.limit')).toBeNull();
    expect(await set(who, { key: 'shop.limit', value: { most: 1 } }, 0)).toMatchObject({ entry: { version: 1 } });
    expect((await set(who, { key: 'shop.limit', value: 2 }, 0)).userErrors).toMatchObject([
      { code: 'VERSION_CONFLICT' },
    ]);
    expect(await set(who, { key: 'shop.limit', value: 2 }, 1)).toMatchObject({ entry: { version: 2, value: 2 } });
    expect(await mutate(who, 'rollbackConfig', 'key: "shop.limit", version: 1, expectedVersion: 2')).toMatchObject({
      entry: { version: 3, value: { most: 1 } },
    });
    expect(await mutate(who, 'deleteConfig', 'key: "shop.limit"')).toMatchObject({
      entry: { version: 4, deleted: true },
    });
    expect((await mutate(who, 'deleteConfig', 'key: "shop.limit"')).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect((await mutate(who, 'rollbackConfig', 'key: "shop.limit", version: 4')).userErrors).toMatchObject([
      { code: 'INVALID_STATE' },
    ]);
    expect(await config(who, 'shop.limit')).toBeNull();
    // A version never comes again.
    expect(await set(who, { key: 'shop.limit', value: 5 }, 0)).toMatchObject({ entry: { version: 5 } });
    const { configHistory } = await rig.ask(
      who,
      '{ configHistory(key: "shop.limit") { nodes { version value deleted updatedBy } } }',
    );
    expect(configHistory.nodes.map(({ version, value }: Json) => [version, value])).toEqual([
      [5, 5],
      [4, null],
      [3, { most: 1 }],
      [2, 2],
      [1, { most: 1 }],
    ]);
    const told = await rig.sql`SELECT type FROM platform.event WHERE tenant_id = 'versions' ORDER BY position`;
    expect(told.map(({ type }) => type)).toEqual([
      'config.set',
      'config.set',
      'config.rolled.back',
      'config.deleted',
      'config.set',
    ]);
    const concurrent = await Promise.all(
      Array.from({ length: 6 }, (_none, n) => set(who, { key: 'race', value: n }, 0)),
    );
    expect(concurrent.filter(({ entry }) => entry !== null)).toHaveLength(1);
  });

  it('are the tenant’s own, and of the nearest scope', async () => {
    const [who, other, operator] = [principal('ann', 'scoped'), principal('eve', 'other'), principal('olga', 'ops')];
    await set(operator, { key: 'tone', value: 'all', scope: 'GLOBAL' });
    expect(await config(who, 'tone')).toMatchObject({ value: 'all', entry: { scope: 'GLOBAL' } });
    await set(operator, { key: 'tone', value: 'tests', scope: 'ENVIRONMENT', target: 'test' });
    expect((await config(who, 'tone')).value).toBe('tests');
    expect((await config(who, 'tone', { environment: 'production' })).value).toBe('all');
    await set(who, { key: 'tone', value: 'plans', scope: 'MODULE', target: 'plan' });
    expect((await config(who, 'tone', { module: 'plan' })).value).toBe('plans');
    expect((await config(who, 'tone')).value).toBe('tests');
    await set(who, { key: 'tone', value: 'ours' });
    expect((await config(who, 'tone', { module: 'plan' })).value).toBe('ours');
    expect((await config(other, 'tone', { module: 'plan' })).value).toBe('tests');
    const { configs } = await rig.ask(other, '{ configs(prefix: "ton") { nodes { scope value } } }');
    expect(configs.nodes).toHaveLength(2);
    const denied = await rig.answer(
      who,
      `mutation { setConfig(input: { key: "tone", value: 1, scope: GLOBAL }) { userErrors { code } } }`,
    );
    expect(denied.errors[0].extensions.code).toBe('PERMISSION_DENIED');
  });

  it('that are secret are never handed out, and survive being rolled back', async () => {
    const who = principal('ann', 'secrets');
    expect(await set(who, { key: 'api.key', value: 'hush', secret: true })).toMatchObject({
      entry: { value: null, secret: true },
    });
    await set(who, { key: 'api.key', value: 'hush hush', secret: true });
    await mutate(who, 'rollbackConfig', 'key: "api.key", version: 1');
    const everything = await rig.ask(
      who,
      `{ config(key: "api.key") { value entry { value } } configs { nodes { value } } configHistory(key: "api.key") { nodes { value } }
         events { nodes { payload } } auditEvents { nodes { detail } } }`,
    );
    expect(JSON.stringify(everything)).not.toContain('hush');
    // Sealed; the newest version is the first one again.
    const stored =
      await rig.sql`SELECT value::text AS value FROM platform.config_version WHERE tenant_id = 'secrets' ORDER BY version`;
    const [first, second, third] = stored.map(({ value }) => value as string);
    expect([third, first === second]).toEqual([first, false]);
    expect(stored.map(({ value }) => value).join()).not.toContain('hush');
  });

  it('are refused where they are none', async () => {
    const who = principal('ann', 'refused');
    const refused = async (input: Json) => (await set(who, input)).userErrors[0]?.path.join('.');
    expect(await refused({ key: '..', value: 1 })).toBe('input.key');
    expect(await refused({ key: 'a', value: 'x'.repeat(70_000) })).toBe('input.value');
    expect(await refused({ key: 'a', value: 'nul\0' })).toBe('input.value');
    expect(await refused({ key: 'a', value: 1, target: 'plan' })).toBe('input.target');
    expect(await refused({ key: 'a', value: 1, scope: 'MODULE', target: 'nowhere' })).toBe('input.target');
    expect(await refused({ key: 'PLAN_SESSIONS', value: 1 })).toBe('input.scope');
    expect(await refused({ key: 'PLAN_SESSIONS', value: 'many', scope: 'GLOBAL' })).toBe('input.value');
    const { validateConfig } = await rig.ask(
      who,
      `{ validateConfig(values: [{ key: "PLAN_SESSIONS", value: 7 }, { key: "PLAN_SESSIONS", value: -1 }, { key: "a b", value: 1 }, { key: "x", value: [1] }]) { valid problems { key } } }`,
    );
    expect(validateConfig).toEqual({ valid: false, problems: [{ key: 'PLAN_SESSIONS' }, { key: 'a b' }] });
  });
});

describe('what the platform reads itself', () => {
  it('comes from files, over them the database, over both the environment, and follows in every instance', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mplp-config-'));
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(
        join(folder, 'default.json'),
        '{ "PLAN_SESSIONS": 5, "TRACE_ALERT_RULES": 6, "QUOTA_CONTEXTS_PER_USER": 8 }',
      );
      await writeFile(join(folder, 'test.json'), '{ "TRACE_ALERT_RULES": 7 }');
      const env = { NODE_ENV: 'test', CONFIG_DIR: folder, QUOTA_CONTEXTS_PER_USER: '9' };
      const instances = [readConfig(env), readConfig(env)];
      const followers = await Promise.all(
        instances.map((one) =>
          followConfig({ config: one, sql: rig.sql, bus: rig.runtime.bus, logger: rig.runtime.logger }),
        ),
      );
      const seen = () =>
        instances.map(({ PLAN_SESSIONS, TRACE_ALERT_RULES, QUOTA_CONTEXTS_PER_USER }) => [
          PLAN_SESSIONS,
          TRACE_ALERT_RULES,
          QUOTA_CONTEXTS_PER_USER,
        ]);
      const both = (...values: number[]) => [values, values];
      expect(seen()).toEqual(both(5, 7, 9));
      const operator = principal('olga', 'ops');
      const follows = async (...values: number[]) =>
        until(
          async () => seen(),
          (now) => JSON.stringify(now) === JSON.stringify(both(...values)),
          1_000,
        );
      await set(operator, { key: 'PLAN_SESSIONS', value: 50, scope: 'GLOBAL' });
      await set(operator, { key: 'QUOTA_CONTEXTS_PER_USER', value: 90, scope: 'GLOBAL' });
      await follows(50, 7, 9);
      await set(operator, { key: 'PLAN_SESSIONS', value: '60', scope: 'ENVIRONMENT', target: 'test' });
      await follows(60, 7, 9);
      await mutate(operator, 'deleteConfig', 'key: "PLAN_SESSIONS", scope: ENVIRONMENT, target: "test"');
      await follows(50, 7, 9);
      await mutate(operator, 'deleteConfig', 'key: "PLAN_SESSIONS", scope: GLOBAL');
      await follows(5, 7, 9);
      await writeFile(join(folder, 'test.json'), '{ "TRACE_ALERT_RULES": 70, "PLAN_SESSIONS": "no number" }');
      const { reloadConfig } = await rig.ask(operator, 'mutation { reloadConfig { changed userErrors { code } } }');
      expect(reloadConfig).toEqual({ changed: expect.any(Array), userErrors: [] });
      // What is not usable is left out.
      await until(
        async () => seen(),
        (now) => JSON.stringify(now) === JSON.stringify(both(5, 70, 9)),
        1_000,
      );
      for (const follower of followers) await follower.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('comes from a service in the network, over files and under the database, whose last answer holds while it is away', async () => {
    let answer: { status: number; body: string } = { status: 200, body: '{ "PLAN_SESSIONS": 31, "PORT": 1 }' };
    const server = createServer((_request, response) => void response.writeHead(answer.status).end(answer.body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/values`;
    const folder = await mkdtemp(join(tmpdir(), 'mplp-config-'));
    await writeFile(join(folder, 'default.json'), '{ "PLAN_SESSIONS": 5, "TRACE_ALERT_RULES": 6 }');
    const env = {
      CONFIG_DIR: folder,
      CONFIG_SERVICE_URL: url,
      CONFIG_SERVICE_POLL_MS: '3600000',
      OPERATOR_TENANT: 'ops',
    };
    await using own = await openPlatformRig({ env });
    const { config: live, sql, bus, logger } = own.runtime;
    const follower = await followConfig({ config: live, sql, bus, logger });
    const operator = principal('olga', 'ops');
    const source = async (key: string) =>
      (await own.ask(operator, 'query ($key: String!) { config(key: $key) { value source } }', { key })).config;
    expect(await source('PLAN_SESSIONS')).toEqual({ value: 31, source: 'SERVICE' });
    expect(await source('TRACE_ALERT_RULES')).toEqual({ value: 6, source: 'FILE' });
    expect(live.PORT).not.toBe(1);
    const reload = () => own.ask(operator, 'mutation { reloadConfig { userErrors { code } } }');
    answer = { status: 200, body: '{ "PLAN_SESSIONS": "none" }' };
    await reload();
    // What is not usable is left out; what stood behind it comes forth.
    await until(
      async () => live.PLAN_SESSIONS,
      (value) => value !== 31,
    );
    answer = { status: 200, body: '{ "PLAN_SESSIONS": 32 }' };
    await reload();
    await until(
      async () => live.PLAN_SESSIONS,
      (value) => value === 32,
    );
    for (const broken of [
      { status: 500, body: '{}' },
      { status: 200, body: '[1]' },
      { status: 200, body: 'no JSON' },
    ]) {
      answer = broken;
      await reload();
      expect(await source('PLAN_SESSIONS')).toEqual({ value: 32, source: 'SERVICE' });
    }
    server.close();
    await reload();
    expect(live.PLAN_SESSIONS).toBe(32);
    await own.ask(
      operator,
      'mutation { setConfig(input: { key: "PLAN_SESSIONS", value: 50, scope: GLOBAL }) { userErrors { code } } }',
    );
    await until(
      () => source('PLAN_SESSIONS'),
      (found) => found.value === 50 && found.source === 'DATABASE',
    );
    await follower.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('refuses to start on files that are none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mplp-config-'));
    await writeFile(join(folder, 'default.json'), '{ "NO_SUCH": 1 }');
    expect(() => readConfig({ CONFIG_DIR: folder })).toThrow('NO_SUCH');
    await writeFile(join(folder, 'default.json'), '{ "PORT": [1] }');
    expect(() => readConfig({ CONFIG_DIR: folder })).toThrow('PORT');
    await writeFile(join(folder, 'default.json'), '{');
    expect(() => readConfig({ CONFIG_DIR: folder })).toThrow('not JSON');
    await rm(folder, { recursive: true, force: true });
  });
});
