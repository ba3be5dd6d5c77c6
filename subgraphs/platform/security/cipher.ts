import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;

/**
 * Seals with AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce: `nonce | tag | ciphertext`. One key may seal 2^32
 * times so; keys are replaced long before.
 * @param aad what it is bound to: with another one it does not open
 */
export function seal(key: KeyObject, plaintext: Uint8Array, aad: string): Buffer {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagBytes }).setAAD(Buffer.from(aad));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

/** @throws {Error} where it was sealed by another key, for something else, or has been changed. */
export function open(key: KeyObject, sealed: Uint8Array, aad: string): Buffer {
  if (sealed.length < ivBytes + tagBytes) throw new Error('too short to be sealed');
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes })
    .setAAD(Buffer.from(aad))
    .setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes));
  return Buffer.concat([decipher.update(sealed.subarray(ivBytes + tagBytes)), decipher.final()]);
}
