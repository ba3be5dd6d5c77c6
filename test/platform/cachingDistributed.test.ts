import { expect, it } from 'vitest';
import { createSql } from '#shared/sql.ts';
import { sharePlatform } from '../support/platform.ts';
import { type Json, until } from './rig.ts';

it('modules in processes of their own: entries, invalidation of the gateway, statistics', async () => {
  await using platform = await sharePlatform({ mode: 'distributed' });
  const token = await platform.token({ tenant: 'apart', roles: ['admin'] });
  const sql = createSql(platform.databaseUrl, { max: 1, applicationName: 'caching-test' });
  async function ask(document: string, variables: Json = {}, consistency = ''): Promise<Json> {
    const headers: Record<string, string> = consistency === '' ? {} : { 'x-mplp-consistency': consistency };
    const { data, errors, extensions } = await platform.query<Json>(document, variables, { token, headers });
    expect(errors).toEqual([]);
    return { ...data, token: extensions['consistencyToken'] };
  }
  try {
    const written = await ask('mutation { setCacheEntry(input: { key: "k", value: 1 }) { userErrors { code } } }');
    const find = '{ cacheEntry(key: "k") { level entry { value } } }';
    expect((await ask(find, {}, written.token)).cacheEntry).toEqual({ level: 'DATABASE', entry: { value: 1 } });
    expect((await ask(find)).cacheEntry).toEqual({ level: 'MEMORY', entry: { value: 1 } });

    const { createContext } = await ask(
      'mutation { createContext(input: { title: "before", root: { domain: "d", environment: "e" } }) { context { id } } }',
    );
    const { id } = createContext.context;
    const title = async (consistency = ''): Promise<string> =>
      (await ask('query ($id: ID!) { context(contextId: $id) { title } }', { id }, consistency)).context.title;
    expect(await title()).toBe('before');
    await sql`UPDATE context.context SET title = 'after' WHERE id = ${id}`;
    const invalidated = await ask(
      'mutation ($tag: String!) { invalidateCache(input: { tags: [$tag] }) { entries userErrors { code } } }',
      { tag: `Context:${id}` },
    );
    expect(await title(invalidated.token)).toBe('after');

    const stats = await until(
      () => ask('{ cacheStats(scope: RESPONSES) { instances areas { area hits misses } } }'),
      ({ cacheStats }) => cacheStats.areas.some(({ area }: Json) => area === 'context'),
    );
    expect(stats.cacheStats.instances).toBe(1);
  } finally {
    await sql.end({ timeout: 5 });
  }
});
