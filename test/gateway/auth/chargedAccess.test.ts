import { expect, it } from 'vitest';
import { PlatformError } from '#shared/errors.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { createChargedAccess } from '../../../gateway/auth/chargedAccess.ts';

const principal = createPrincipal({ tenantId: 'one', subject: 'ann', scopes: [] });
const caller = { authorization: 'Bearer x', remoteAddress: '192.0.2.1', host: 'here', address: '198.51.100.7' };

it.each<[string, () => Promise<Principal>, number]>([
  ['a token that is good', () => Promise.resolve(principal), 0],
  ['one that is none', () => Promise.reject(new PlatformError('UNAUTHENTICATED', 'no token')), 100],
  [
    'one that cannot be verified for want of keys',
    () => Promise.reject(new PlatformError('UNAVAILABLE', 'no keys')),
    0,
  ],
])('%s costs its address what it may', async (_, authenticate, cost) => {
  const charged: [string, number][] = [];
  const access = createChargedAccess(
    { authenticate },
    {
      async chargeAddress(address, units) {
        charged.push([address, units]);
      },
    },
  );
  await access.authenticate(caller).catch(() => {});
  // Asked first whether it has any rate left.
  expect(charged[0]).toEqual([caller.address, 0]);
  expect(charged.slice(1)).toEqual(cost === 0 ? [] : [[caller.address, cost]]);
});
