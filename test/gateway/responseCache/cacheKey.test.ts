import { expect, it } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import { audienceKey, cacheAreaOf, cacheGroupOf, joinKey } from '../../../gateway/execution/responseCache/cacheKey.ts';

it.each(['plain', 'a/b', 'with|bar', 'line\nend', 'Ünïcode'])('counts entries of tenant %j under it', (tenantId) => {
  const principal = createPrincipal({ tenantId, subject: 'ann', scopes: ['*'] });
  for (const scope of ['TENANT', 'ROLE', 'SUBJECT'] as const) {
    const audience = audienceKey(principal, scope, 'rights');
    const response = joinKey('r', audience, 'hash', '{}');
    const fetch = joinKey('f', audience, 'context', 'hash', '{}', '{}');
    expect(cacheAreaOf(cacheGroupOf(response))).toEqual({ tenantId, area: 'responses' });
    expect(cacheAreaOf(cacheGroupOf(fetch))).toEqual({ tenantId, area: 'context' });
  }
});

it('knows no tenant of what is counted together', () => {
  expect(cacheAreaOf('')).toBeNull();
});
