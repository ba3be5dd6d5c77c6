import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCursor } from '#shared/cursor.ts';
import { healthStream } from '../../subgraphs/core/health/changes.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

describe.each(modes)('health is followed, %s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(() => platform.close());

  it('each tenant hears of the same changes, from the first look on', async () => {
    const heard = await Promise.all(
      ['north', 'south'].map(async (name) => {
        const followed = subscribe<{ readonly healthChanged: unknown }>({
          url: platform.url,
          token: await platform.token({ tenant: `${name}-${mode.length}`, subject: 'ann', roles: ['member'] }),
          variables: { after: encodeCursor(healthStream, 0) },
          query:
            'subscription ($after: String) { healthChanged(after: $after) { sequence overall before score components { name status } } }',
        });
        await followed.until((payloads) => payloads.length > 0, 15_000);
        await followed.close();
        expect(followed.errors).toEqual([]);
        return followed.payloads[0];
      }),
    );
    expect(heard[0]).toMatchObject({ healthChanged: { sequence: 1, before: null, overall: expect.any(String) } });
    expect(heard[1]).toEqual(heard[0]);
  });
});
