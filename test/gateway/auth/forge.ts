import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const issuer = 'https://issuer.test';
export const audience = 'mplp-graph';
/** A fixed clock: 2026-03-01T12:00:00Z. */
export const nowMs = 1_772_366_400_000;
export const nowSeconds = nowMs / 1_000;

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const rsa: KeyPair = generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const otherRsa: KeyPair = generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const ec: KeyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const ed: KeyPair = generateKeyPairSync('ed25519');

export type Json = Readonly<Record<string, unknown>>;

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** Signs whatever it is given under whatever `alg` says, sensible or not. */
export function signSegments(algorithm: string, privateKey: KeyObject, input: string): string {
  const data = Buffer.from(input);
  const pss = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING };
  switch (algorithm) {
    case 'RS256':
    case 'RS384':
    case 'RS512':
      return sign(`sha${algorithm.slice(2)}`, data, privateKey).toString('base64url');
    case 'PS256':
      return sign('sha256', data, { ...pss, saltLength: 32 }).toString('base64url');
    case 'PS256-long-salt':
      return sign('sha256', data, { ...pss, saltLength: 64 }).toString('base64url');
    case 'ES256':
      return sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    case 'ES256-der':
      return sign('sha256', data, { key: privateKey, dsaEncoding: 'der' }).toString('base64url');
    case 'EdDSA':
      return sign(null, data, privateKey).toString('base64url');
    default:
      throw new Error(`no signature for ${algorithm}`);
  }
}

export const goodClaims: Json = Object.freeze({
  iss: issuer,
  aud: audience,
  exp: nowSeconds + 600,
  iat: nowSeconds,
  jti: 'token-1',
  sub: 'agent-1',
  tenant: 'acme',
  roles: ['member'],
});

export interface Forgery {
  readonly pair?: KeyPair;
  /** How it is really signed; the header may say something else. @default RS256 */
  readonly signedAs?: string;
  /** An object, or the header's exact text. */
  readonly header?: Json | string;
  /** An object, or the payload's exact text. */
  readonly payload?: Json | string;
}

export function forge({
  pair = rsa,
  signedAs = 'RS256',
  header = { alg: signedAs, kid: 'rsa' },
  payload = goodClaims,
}: Forgery = {}): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signSegments(signedAs, pair.privateKey, input)}`;
}

/** A token under an HMAC of the public key's PEM: the classic confusion of algorithms. */
export function forgeHmac(header: Json, secret: string | Buffer): string {
  const input = `${encode(header)}.${encode(goodClaims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** Good claims with some changed; `undefined` takes a claim away. */
export function claims(changes: Json): Json {
  return { ...goodClaims, ...changes };
}
