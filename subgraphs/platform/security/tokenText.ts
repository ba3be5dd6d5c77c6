import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isId } from '#shared/ids.ts';

const secretBytes = 32;
const pattern = /^mplp_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** An API token as it is sent: `mplp_<id>_<secret>`; scanners for leaked secrets find it by its beginning. */
export interface TokenText {
  readonly id: string;
  readonly secret: string;
}

export function makeTokenText(id: string): { readonly text: string; readonly secretHash: Buffer } {
  const secret = randomBytes(secretBytes).toString('base64url');
  return { text: `mplp_${id.replaceAll('-', '')}_${secret}`, secretHash: digestOf(secret) };
}

/** Null where it has not the form. */
export function readTokenText(text: string): TokenText | null {
  const [, hex, secret] = pattern.exec(text) ?? [];
  if (hex === undefined || secret === undefined) return null;
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return isId(id) ? { id, secret } : null;
}

/** Of 256 random bits a plain digest can be kept: there is nothing to guess, and no need of a slow one. */
function digestOf(secret: string): Buffer {
  return Buffer.from(hash('sha256', secret, 'hex'), 'hex');
}

export function isSecretOf(secret: string, secretHash: Uint8Array): boolean {
  const given = digestOf(secret);
  return given.length === secretHash.length && timingSafeEqual(given, secretHash);
}
