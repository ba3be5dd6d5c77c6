import { expect, it } from 'vitest';
import { modes, sharePlatform } from '../support/platform.ts';

it.each(modes)('never lets the cache hand a private context to somebody else, %s', async (mode) => {
  await using platform = await sharePlatform({ mode });
  const [owner, other] = await Promise.all([
    platform.token({ tenant: 'shared', subject: 'owner' }),
    platform.token({ tenant: 'shared', subject: 'other' }),
  ]);
  const created = await platform.query<{ createContext: { context: { id: string } } }>(
    'mutation { createContext(input: { title: "open", root: { domain: "d", environment: "e" } }) { context { id } userErrors { code } } }',
    {},
    { token: owner },
  );
  const id = created.data!.createContext.context.id;
  const read = 'query ($id: ID!) { context(contextId: $id) { title } contexts { nodes { title } } }';
  const see = async (token: string) =>
    (
      await platform.query<{ context: { title: string } | null; contexts: { nodes: { title: string }[] } }>(
        read,
        { id },
        { token },
      )
    ).data!;
  for (let round = 0; round < 4; round += 1) expect((await see(other)).context).toEqual({ title: 'open' });
  const hidden = await platform.query<{ updateContext: { userErrors: unknown[] } }>(
    'mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { userErrors { code } } }',
    { id },
    { token: owner },
  );
  expect(hidden.data!.updateContext.userErrors).toEqual([]);
  for (let round = 0; round < 4; round += 1) {
    expect(await see(owner)).toEqual({ context: { title: 'open' }, contexts: { nodes: [{ title: 'open' }] } });
    expect(await see(other)).toEqual({ context: null, contexts: { nodes: [] } });
  }
});
