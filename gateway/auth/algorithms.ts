import { constants, type KeyObject, verify } from 'node:crypto';

/** The signature algorithms a token may use. All are asymmetric: no secret is shared with the issuer. */
export const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

export type Algorithm = (typeof algorithms)[number];

export function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === 'string' && (algorithms as readonly string[]).includes(value);
}

const minRsaBits = 2_048;

/** Algorithms a public key can verify, decided by the key alone and never by a token; empty when it is unfit. */
export function algorithmsOf(key: KeyObject): readonly Algorithm[] {
  if (key.type !== 'public') return [];
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return (details?.modulusLength ?? 0) >= minRsaBits ? ['RS256', 'PS256'] : [];
    case 'ec':
      return details?.namedCurve === 'prime256v1' ? ['ES256'] : [];
    case 'ed25519':
      return ['EdDSA'];
    default:
      return [];
  }
}

/** Verifies on the calling thread: a thread-pool round trip as in Web Crypto costs several times the signature check. */
export function verifySignature(algorithm: Algorithm, key: KeyObject, data: Buffer, signature: Buffer): boolean {
  switch (algorithm) {
    case 'RS256':
      return verify('sha256', data, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case 'PS256':
      // RFC 7518 3.5: the salt is as long as the digest. Node's default would accept any length.
      return verify('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
    case 'ES256':
      return signature.length === 64 && verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
    case 'EdDSA':
      return signature.length === 64 && verify(null, data, key, signature);
  }
}
