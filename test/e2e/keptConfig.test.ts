import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

describe.each(modes)('values that are kept by the response cache, %s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(() => platform.close());

  test('are the tenant’s own, follow each change at once, and hide what holds for all only while they are there', async () => {
    const own = await platform.token({ tenant: 'keeper', subject: 'one', scopes: ['*'] });
    const other = await platform.token({ tenant: 'keeper', subject: 'two', scopes: ['*'] });
    const foreign = await platform.token({ tenant: 'no-keeper', subject: 'one', scopes: ['*'] });
    const ask = async (token: string, document: string, variables: Record<string, unknown> = {}): Promise<Json> => {
      const answer = await platform.query<Json>(document, variables, { token });
      expect(answer.errors).toEqual([]);
      return answer.data;
    };
    const key = 'kept.limit';
    const read = async (token: string): Promise<Json> => {
      const document = 'query ($key: String!) { config(key: $key) { key value source entry { version scope } } }';
      // The first asks, the second keeps, the third is told what is kept.
      const seen = [];
      for (let time = 0; time < 3; time += 1) seen.push((await ask(token, document, { key })).config);
      expect(new Set(seen.map((one) => JSON.stringify(one))).size).toBe(1);
      return seen[0] && [seen[0].value, seen[0].entry.version];
    };
    const set = (value: unknown) =>
      ask(own, 'mutation ($input: SetConfigInput!) { setConfig(input: $input) { userErrors { code } } }', {
        input: { key, value },
      });
    expect(await read(own)).toBeNull();
    for (let version = 1; version <= 3; version += 1) {
      await set(version * 10);
      expect([await read(own), await read(other), await read(foreign)]).toEqual([
        [version * 10, version],
        [version * 10, version],
        null,
      ]);
    }
    await ask(own, 'mutation ($key: String!) { rollbackConfig(key: $key, version: 1) { userErrors { code } } }', {
      key,
    });
    expect([await read(own), await read(other)]).toEqual([
      [10, 4],
      [10, 4],
    ]);
    await ask(own, 'mutation ($key: String!) { deleteConfig(key: $key) { userErrors { code } } }', { key });
    expect([await read(own), await read(other)]).toEqual([null, null]);
  });
});
