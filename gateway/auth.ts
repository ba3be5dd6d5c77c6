import { hash } from 'node:crypto';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import type { Logger } from '#shared/telemetry.ts';
import { isExpired, type StepUpRules } from './auth/claims.ts';
import { createJwksKeySource } from './auth/jwks.ts';
import { type Rejection, type VerifiedToken, verifyToken } from './auth/jwt.ts';
import { createFixedKeySource, joinKeySources, type KeySource } from './auth/keySource.ts';
import type { Peer } from './auth/loopback.ts';
import { createPemKeySource } from './auth/pemKeys.ts';
import { loadDevelopmentKey } from './auth/signingKey.ts';

export { describePeer, isLoopbackAddress, type Peer } from './auth/loopback.ts';
export { developmentKeyDir } from './auth/signingKey.ts';

export interface AuthConfig {
  readonly mode: 'development' | 'production';
  readonly jwksUrl?: string | undefined;
  readonly publicKeyFile?: string | undefined;
  readonly issuer: string;
  readonly audience: string;
  readonly developmentKeyDir: string;
  /** @default 60 */
  readonly clockToleranceSeconds?: number | undefined;
  /** @default 86_400 */
  readonly maxTokenLifeSeconds?: number | undefined;
  /** Whether tokens without `jti` are accepted, which cannot be revoked one by one. @default false */
  readonly allowTokensWithoutId?: boolean | undefined;
  /** What counts as a stepped-up authentication. @default nothing does */
  readonly stepUp?: StepUpRules | undefined;
  /** @default 600_000 for a JWKS, 60_000 for a PEM file */
  readonly keyRefreshMs?: number | undefined;
  /** Least time between two fetches of the JWKS that unknown keys cause. @default 30_000 */
  readonly jwksCooldownMs?: number | undefined;
}

export interface AuthDeps {
  readonly now?: () => number;
  readonly logger: Pick<Logger, 'debug' | 'info' | 'warn'>;
}

export interface Authenticator {
  /**
   * Says who asks; a promise only while keys are fetched. It throws or rejects, so callers `await` inside try.
   * @throws {UNAUTHENTICATED} when the token is missing or not accepted, for whatever reason.
   * @throws {UNAVAILABLE} when there are no keys yet because the issuer has not answered since the start.
   */
  authenticate(authorizationHeader: string | undefined, peer: Peer): Principal | Promise<Principal>;
  /** False while no token can be verified: the instance is not ready. */
  hasKeys(): boolean;
  readonly stats: Readonly<{ cached: number; hits: number; verified: number; rejected: number }>;
  close(): void;
}

/** Verified tokens remembered at most. */
export const maxCachedTokens = 10_000;
const bearerPattern = /^bearer +([^\s]+) *$/i;

/** What a request without a token is in development, from this machine only. */
const demoPrincipal: Principal = createPrincipal({
  tenantId: 'demo',
  subject: 'demo',
  subjectType: 'human',
  roles: ['admin'],
  scopes: ['*'],
  // Who sits at the machine itself has nobody to prove it to.
  steppedUpUntilMs: Number.MAX_SAFE_INTEGER,
});

function openKeySource(config: AuthConfig, now: () => number, logger: AuthDeps['logger']): KeySource {
  const { mode, jwksUrl, publicKeyFile, keyRefreshMs: refreshMs, jwksCooldownMs: cooldownMs } = config;
  if (mode === 'production' && !jwksUrl && !publicKeyFile) {
    throw new Error('production refuses to start without keys: set AUTH_JWKS_URL or AUTH_PUBLIC_KEY_FILE');
  }
  const sources: KeySource[] = [];
  if (mode === 'development')
    sources.push(createFixedKeySource([loadDevelopmentKey(config.developmentKeyDir).verification]));
  if (publicKeyFile) sources.push(createPemKeySource({ file: publicKeyFile, refreshMs, now, logger }));
  if (jwksUrl) sources.push(createJwksKeySource({ url: jwksUrl, refreshMs, cooldownMs, now, logger }));
  return joinKeySources(sources);
}

/**
 * Verifies bearer tokens and remembers the verified ones by their SHA-256 until they expire or their key vanishes.
 * In development a request without a token from this machine is the demo principal.
 * @throws {Error} in production without keys, or with a key file that cannot be used.
 */
export function createAuthenticator(config: AuthConfig, { now = Date.now, logger }: AuthDeps): Authenticator {
  const { mode, issuer, audience, clockToleranceSeconds = 60, maxTokenLifeSeconds = 86_400 } = config;
  const rules = {
    issuer,
    audience,
    clockToleranceSeconds,
    maxLifeSeconds: maxTokenLifeSeconds,
    requiresTokenId: config.allowTokensWithoutId !== true,
    ...(config.stepUp === undefined ? {} : { stepUp: config.stepUp }),
  };
  const source = openKeySource(config, now, logger);
  const cache = createLru<VerifiedToken>(maxCachedTokens);
  let hits = 0;
  let verified = 0;
  let rejected = 0;

  source.onRemoved((keyIds) => {
    for (const [tokenHash, entry] of cache.entries()) if (keyIds.has(entry.keyId)) cache.delete(tokenHash);
  });

  // The reason goes to the log alone: one answer for all leaves a forger nothing to learn from.
  function reject(reason: Rejection | 'missing' | 'scheme'): never {
    rejected += 1;
    logger.debug({ reason }, 'token refused');
    throw new PlatformError(
      'UNAUTHENTICATED',
      reason === 'missing'
        ? 'expected a token: send the header "Authorization: Bearer <token>"'
        : 'the token was not accepted',
      { cause: reason },
    );
  }

  function settle(tokenHash: string, result: VerifiedToken | Rejection): Principal {
    if (typeof result === 'string') return reject(result);
    verified += 1;
    cache.set(tokenHash, result);
    return result.principal;
  }

  function verify(token: string): Principal | Promise<Principal> {
    const tokenHash = hash('sha256', token, 'base64');
    const known = cache.get(tokenHash);
    if (known && !isExpired(known.expSeconds, now(), clockToleranceSeconds)) {
      hits += 1;
      return known.principal;
    }
    if (known) cache.delete(tokenHash);
    const result = verifyToken(token, source.keys, rules, now());
    if (result !== 'unknown-key') return settle(tokenHash, result);
    const renewal = source.renew();
    if (!renewal) return source.keys.length === 0 ? refuseWithoutKeys() : reject(result);
    return renewal.then(() =>
      source.keys.length === 0 ? refuseWithoutKeys() : settle(tokenHash, verifyToken(token, source.keys, rules, now())),
    );
  }

  function refuseWithoutKeys(): never {
    throw new PlatformError('UNAVAILABLE', 'tokens cannot be verified at the moment', { retryAfterMs: 1_000 });
  }

  return {
    authenticate(authorizationHeader, peer) {
      if (authorizationHeader === undefined)
        return mode === 'development' && peer.loopback ? demoPrincipal : reject('missing');
      const token = bearerPattern.exec(authorizationHeader)?.[1];
      return token === undefined ? reject('scheme') : verify(token);
    },
    hasKeys: () => source.keys.length > 0,
    get stats() {
      return { cached: cache.size, hits, verified, rejected };
    },
    close: () => source.close(),
  };
}
