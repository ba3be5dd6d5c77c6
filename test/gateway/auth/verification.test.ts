import fc from 'fast-check';
import { createLocalJWKSet, errors, type JWK, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { readJwk } from '../../../gateway/auth/jwks.ts';
import { type VerificationKey, verifyToken } from '../../../gateway/auth/jwt.ts';
import { parseUniqueJson } from '../../../gateway/auth/uniqueJson.ts';
import { badTokens, goodTokens, stricterTokens } from './corpus.ts';
import { audience, claims, ec, ed, forge, issuer, nowMs, rsa } from './forge.ts';

const rules = {
  ...{ issuer, audience, clockToleranceSeconds: 60 },
  ...{ maxLifeSeconds: 86_400, requiresTokenId: true },
};
const jwks: JWK[] = [
  { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' },
  { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec', use: 'sig' },
  { ...ed.publicKey.export({ format: 'jwk' }), kid: 'ed', alg: 'EdDSA' },
];
const joseKeys = createLocalJWKSet({ keys: jwks });
let keys: VerificationKey[];

beforeAll(async () => {
  keys = (await Promise.all(jwks.map(readJwk))).filter((key) => key !== undefined);
  expect(keys).toHaveLength(3);
});

/** What jose answers with the same demands: the payload, or null when it refuses. */
async function joseAnswer(token: string): Promise<unknown> {
  try {
    const { payload } = await jwtVerify(token, joseKeys, {
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      issuer,
      audience,
      requiredClaims: ['exp'],
      clockTolerance: 60,
      currentDate: new Date(nowMs),
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return null;
    throw error;
  }
}

describe('the synchronous verification answers as jose does', () => {
  test.for(Object.entries(goodTokens))('accepts: %s', async ([, token]) => {
    const result = verifyToken(token, keys, rules, nowMs);
    expect(result).toMatchObject({ principal: { tenantId: 'acme', subject: 'agent-1' } });
    expect(await joseAnswer(token)).toMatchObject({ tenant: 'acme', sub: 'agent-1' });
  });

  test.for(Object.entries(badTokens))('refuses: %s', async ([, token]) => {
    expect(typeof verifyToken(token, keys, rules, nowMs)).toBe('string');
    expect(await joseAnswer(token)).toBeNull();
  });

  test.for(Object.entries(stricterTokens))('refuses beyond jose: %s', async ([, token]) => {
    expect(typeof verifyToken(token, keys, rules, nowMs)).toBe('string');
    expect(await joseAnswer(token)).not.toBeNull();
  });

  test('no random damage of a good token is accepted', () => {
    const tokens = Object.values(goodTokens);
    fc.assert(
      fc.property(fc.constantFrom(...tokens), fc.nat(), fc.integer({ min: 0, max: 127 }), (token, position, code) => {
        const index = position % token.length;
        const damaged = token.slice(0, index) + String.fromCharCode(code) + token.slice(index + 1);
        fc.pre(damaged !== token);
        expect(typeof verifyToken(damaged, keys, rules, nowMs)).toBe('string');
      }),
      { numRuns: 1_500 },
    );
  });

  test('random claims are judged as jose judges them', async () => {
    const time = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: -75, max: 75 }).map((offset) => nowMs / 1_000 + offset) },
      { weight: 1, arbitrary: fc.constantFrom('1', null, undefined, true) },
    );
    const mostly = (usual: unknown, others: readonly unknown[]) =>
      fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
    const shape = fc.record({
      exp: time,
      nbf: time,
      iat: time,
      iss: mostly(issuer, ['x', undefined, null, [issuer]]),
      aud: mostly(audience, [[audience], ['x'], undefined, 1, [1, audience]]),
    });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(shape, async (changes) => {
        const token = forge({
          pair: ed,
          signedAs: 'EdDSA',
          header: { alg: 'EdDSA', kid: 'ed' },
          payload: claims(changes),
        });
        const ours = typeof verifyToken(token, keys, rules, nowMs) !== 'string';
        if (ours) accepted += 1;
        expect(ours).toBe((await joseAnswer(token)) !== null);
      }),
      { numRuns: 1_500, seed: 7 },
    );
    // Both answers must have been compared, not one.
    expect(accepted).toBeGreaterThan(150);
    expect(accepted).toBeLessThan(1_350);
  });
});

describe('keys of a JWKS', () => {
  const rsaJwk: JWK = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'k' };
  test.for<[string, JWK]>([
    ['for encryption', { ...rsaJwk, use: 'enc' }],
    ['whose operations exclude verifying', { ...rsaJwk, key_ops: ['encrypt'] }],
    ['of an algorithm that is not pinned', { ...rsaJwk, alg: 'RS512' }],
    ['that contradict their algorithm', { ...rsaJwk, alg: 'ES256' }],
    ['that are private', { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'k' }],
    ['that are secrets', { kty: 'oct', k: Buffer.alloc(32).toString('base64url'), kid: 'k' }],
    ['that cannot be read', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'k' }],
    ['on another curve', { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA', kid: 'k' }],
  ])('leaves out keys %s', async ([, jwk]) => {
    expect(await readJwk(jwk)).toBeUndefined();
  });

  test('a key with an algorithm verifies nothing else', async () => {
    const key = await readJwk({ ...rsaJwk, kid: 'rsa', alg: 'PS256' });
    expect(key?.algorithms).toEqual(['PS256']);
    expect(verifyToken(goodTokens['RS256'] ?? '', key ? [key] : [], rules, nowMs)).toBe('unknown-key');
    expect(verifyToken(goodTokens['PS256'] ?? '', key ? [key] : [], rules, nowMs)).toMatchObject({ keyId: key?.id });
  });
});

test('JSON with unique members parses as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(parseUniqueJson(text)).toEqual(JSON.parse(text));
    }),
  );
  expect(() => parseUniqueJson('{"a":1,"b":{"a":{"c":"\\\\","c":1}}}')).toThrow(SyntaxError);
});
