import { afterAll, beforeAll, expect, it } from 'vitest';
import { readApi } from '../contract/walk/schema.ts';
import { seedWorld } from '../contract/walk/seed.ts';
import { hostPlatform, type Platform } from '../support/platform.ts';

const api = readApi();
let platform: Platform;

// Whatever takes a second connection of a pool while it holds one waits for itself here.
beforeAll(async () => {
  const one = ['DATABASE_POOL', 'DATABASE_KEYED_POOL', 'DATABASE_CONSUMER_POOL', 'DATABASE_PRISMA_POOL'];
  platform = await hostPlatform({ env: Object.fromEntries(one.map((name) => [name, '1'])) });
});
afterAll(() => platform?.close());

it('every module writes, and hears of the others, on one connection of each pool', async () => {
  const token = await platform.token({ tenant: 'narrow', subject: 'ann', roles: ['admin'] });
  const actor = { tenant: 'narrow', owner: 'ann', token, watched: false };
  const worlds = await Promise.all(Array.from({ length: 5 }, (_, serial) => seedWorld(platform, api, actor, serial)));
  expect(worlds.flatMap(({ failures }) => failures)).toEqual([]);
  // The history of contexts has come through all consumers by then.
  const contextId = worlds[0]!.ids['contextId']!;
  await expect
    .poll(
      async () => {
        const { data } = await platform.query<{ traces: { nodes: { planId: string | null }[] } }>(
          'query ($id: ID!) { traces(filter: { contextId: $id }) { nodes { planId } } }',
          { id: contextId },
          { token },
        );
        return data?.traces.nodes.some(({ planId }) => planId === worlds[0]!.ids['planId']);
      },
      { timeout: 20_000, interval: 200 },
    )
    .toBe(true);
});
