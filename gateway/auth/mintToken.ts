import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Principal } from '#shared/principal.ts';
import type { SigningKey } from './signingKey.ts';

export interface TokenRequest {
  readonly tenant: string;
  readonly subject: string;
  readonly subjectType?: Principal['subjectType'];
  readonly displayName?: string;
  readonly roles?: readonly string[];
  readonly scopes?: readonly string[];
  /** Life in seconds. */
  readonly ttlSeconds: number;
  /** How the subject was authenticated; it was so at the time of issue. */
  readonly acr?: string;
}

export interface TokenIssuer {
  readonly key: SigningKey;
  readonly issuer: string;
  readonly audience: string;
  /** Name of the key in the token; its fingerprint by default. */
  readonly kid?: string;
  readonly now?: () => number;
}

/** Mints a JWT that the authenticator of the same issuer, audience and key accepts. */
export async function mintToken(
  request: TokenRequest,
  { key, issuer, audience, kid = key.kid, now = Date.now }: TokenIssuer,
): Promise<string> {
  const issuedAtSeconds = Math.floor(now() / 1_000);
  const claims = {
    tenant: request.tenant,
    sub_type: request.subjectType ?? 'agent',
    roles: [...(request.roles ?? [])],
    ...(request.scopes === undefined || request.scopes.length === 0 ? {} : { scope: request.scopes.join(' ') }),
    ...(request.displayName === undefined ? {} : { name: request.displayName }),
    ...(request.acr === undefined ? {} : { acr: request.acr, auth_time: issuedAtSeconds }),
  };
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: key.algorithm, kid, typ: 'JWT' })
    .setSubject(request.subject)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(issuedAtSeconds)
    .setExpirationTime(issuedAtSeconds + request.ttlSeconds)
    .setJti(randomUUID())
    .sign(key.privateKey);
}
