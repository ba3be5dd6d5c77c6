import { KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, createRemoteJWKSet, importJWK, type JWK } from 'jose';
import type { Logger } from '#shared/telemetry.ts';
import { type Algorithm, algorithmsOf, isAlgorithm } from './algorithms.ts';
import type { VerificationKey } from './jwt.ts';
import { createRenewedKeySource, type KeySource } from './keySource.ts';

export interface JwksOptions {
  readonly url: string;
  /** @default 600_000 */
  readonly refreshMs?: number | undefined;
  /** @default 30_000 */
  readonly cooldownMs?: number | undefined;
  /** @default 5_000 */
  readonly timeoutMs?: number | undefined;
  readonly now: () => number;
  readonly logger: Pick<Logger, 'debug' | 'info' | 'warn'>;
}

const importAlgorithms: ReadonlyMap<string, Algorithm> = new Map([
  ['RSA', 'RS256'],
  ['EC', 'ES256'],
  ['OKP', 'EdDSA'],
]);

/** True when the issuer offers this key for verifying signatures (RFC 7517 4.2, 4.3). */
function isForVerifying(jwk: JWK): boolean {
  return (
    (jwk.use === undefined || jwk.use === 'sig') &&
    (jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify')))
  );
}

/** One member of a JWKS as a verification key; undefined when it is for something else, private, weak or unreadable. */
export async function readJwk(jwk: JWK): Promise<VerificationKey | undefined> {
  const fallback = importAlgorithms.get(jwk.kty ?? '');
  if (!fallback || !isForVerifying(jwk) || (jwk.alg !== undefined && !isAlgorithm(jwk.alg))) return undefined;
  try {
    const imported = await importJWK(jwk, isAlgorithm(jwk.alg) ? jwk.alg : fallback);
    if (imported instanceof Uint8Array || imported.type !== 'public') return undefined;
    const key = KeyObject.from(imported);
    const fitting = algorithmsOf(key).filter((algorithm) => jwk.alg === undefined || jwk.alg === algorithm);
    if (fitting.length === 0) return undefined;
    const thumbprint = await calculateJwkThumbprint(jwk);
    return {
      id: [thumbprint, jwk.kid ?? '', fitting.join('+')].join('|'),
      key,
      algorithms: fitting,
      anyKid: false,
      ...(jwk.kid === undefined ? {} : { kid: jwk.kid }),
    };
  } catch {
    return undefined;
  }
}

/** Keys of an issuer's JWKS: kept for `refreshMs`, and through any outage of the issuer until it answers again. */
export function createJwksKeySource(options: JwksOptions): KeySource {
  const { url, refreshMs = 600_000, cooldownMs = 30_000, timeoutMs = 5_000, now, logger } = options;
  const remote = createRemoteJWKSet(new URL(url), { timeoutDuration: timeoutMs });
  return createRenewedKeySource({
    name: 'jwks',
    initial: [],
    async load() {
      await remote.reload();
      const members = remote.jwks()?.keys ?? [];
      const keys = (await Promise.all(members.map(readJwk))).filter((key) => key !== undefined);
      if (keys.length < members.length)
        logger.debug({ members: members.length, usable: keys.length }, 'the JWKS holds keys that cannot verify tokens');
      return keys;
    },
    refreshMs,
    cooldownMs,
    now,
    logger,
  });
}
