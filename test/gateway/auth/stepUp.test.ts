import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requireStepUp } from '#shared/auth.ts';
import { createPrincipal } from '#shared/principal.ts';
import { readPrincipalClaims } from '../../../gateway/auth/claims.ts';

const rules = { acr: ['mfa', 'phr'], maxAgeSeconds: 900 };
const read = (claims: Record<string, unknown>) => {
  const input = readPrincipalClaims({ sub: 's', tenant: 't', ...claims }, rules);
  return typeof input === 'string' ? input : createPrincipal(input);
};
const isSteppedUp = (claims: Record<string, unknown>, nowMs: number): boolean => {
  const principal = read(claims);
  if (typeof principal === 'string') throw new Error(principal);
  try {
    requireStepUp(principal, nowMs);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'STEP_UP_REQUIRED' });
    return false;
  }
};

describe('a stepped-up authentication', () => {
  it('is one of the accepted kinds, and no older than allowed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('mfa', 'phr', 'pwd', '', undefined),
        fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined }),
        fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined }),
        fc.integer({ min: 0, max: 3_000_000 }),
        (acr, authTime, iat, nowMs) => {
          const claims = {
            ...(acr === undefined ? {} : { acr }),
            ...(authTime === undefined ? {} : { auth_time: authTime }),
            ...(iat === undefined ? {} : { iat }),
          };
          const at = authTime ?? iat;
          const expected = (acr === 'mfa' || acr === 'phr') && at !== undefined && nowMs < (at + 900) * 1_000;
          expect(isSteppedUp(claims, nowMs)).toBe(expected);
        },
      ),
    );
  });

  it('is none where the rules know of none', () => {
    const input = readPrincipalClaims({ sub: 's', tenant: 't', acr: 'mfa', auth_time: 1e9 });
    expect(input).not.toHaveProperty('steppedUpUntilMs');
  });

  it('comes of claims that are what they should be', () => {
    expect(read({ acr: 'mfa', auth_time: 'now' })).toBe('time-malformed');
    expect(read({ jti: '' })).toBe('identifier');
    expect(read({ jti: 'x'.repeat(256) })).toBe('identifier');
    expect(read({ jti: 'one', iat: 5 })).toMatchObject({ tokenId: 'one', issuedAtMs: 5_000 });
  });
});
