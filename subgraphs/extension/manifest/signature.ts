import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';

/** SHA-256 of a bundle, or of a package's bytes. */
export function digestOf(content: string | Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

/** Bits of an RSA key at least (NIST SP 800-131A). */
const leastRsaBits = 2_048;

/** An Ed25519 or RSA key from PEM; null where it is none, or too short. */
export function readPublicKey(pem: string): KeyObject | null {
  try {
    const key = createPublicKey({ key: pem, format: 'pem' });
    if (key.asymmetricKeyType === 'ed25519') return key;
    const bits = key.asymmetricKeyType === 'rsa' ? (key.asymmetricKeyDetails?.modulusLength ?? 0) : 0;
    return bits >= leastRsaBits ? key : null;
  } catch {
    return null;
  }
}

/** SHA-256 of the key itself, hex: the same for the same key however its PEM is written. */
export function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** Whether the signature (base64) of a digest was made with the key: Ed25519 (RFC 8032), or RSA with SHA-256 (RFC 8017, PKCS #1 v1.5). */
export function isSignedBy(key: KeyObject, digest: Uint8Array, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64');
  if (key.asymmetricKeyType === 'rsa') return verify('sha256', digest, key, bytes);
  return bytes.length === 64 && verify(null, digest, key, bytes);
}
