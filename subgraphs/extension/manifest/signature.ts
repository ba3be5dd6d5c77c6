import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';

/** SHA-256 of a bundle. */
export function digestOf(bundle: string): Buffer {
  return createHash('sha256').update(bundle, 'utf8').digest();
}

/** An Ed25519 key from PEM; null where it is none. */
export function readPublicKey(pem: string): KeyObject | null {
  try {
    const key = createPublicKey({ key: pem, format: 'pem' });
    return key.asymmetricKeyType === 'ed25519' ? key : null;
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

/** Whether the signature (base64) of a digest was made with the key. Ed25519, RFC 8032. */
export function isSignedBy(key: KeyObject, digest: Uint8Array, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64');
  return bytes.length === 64 && verify(null, digest, key, bytes);
}
