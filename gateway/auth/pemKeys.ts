import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Logger } from '#shared/telemetry.ts';
import { algorithmsOf } from './algorithms.ts';
import type { VerificationKey } from './jwt.ts';
import { createRenewedKeySource, type KeySource } from './keySource.ts';

const blockPattern = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

export function keyFingerprint(key: KeyObject): string {
  return hash('sha256', key.export({ type: 'spki', format: 'der' }), 'base64url');
}

/**
 * Reads every public key or certificate of a PEM text; two of them allow a rotation without a restart.
 * @throws {Error} when there is none, one is private, or one is no RSA >= 2048, P-256 or Ed25519 key.
 */
export function parsePublicPem(pem: string, name: string): VerificationKey[] {
  const blocks = [...pem.matchAll(blockPattern)];
  if (blocks.length === 0) throw new Error(`${name}: expected a PEM public key or certificate, found none`);
  return blocks.map(([block, label = '']) => {
    if (label.includes('PRIVATE')) throw new Error(`${name}: expected public keys only, found a private one`);
    let key: KeyObject;
    try {
      key = createPublicKey(block);
    } catch (cause) {
      throw new Error(`${name}: a PEM block of type ${label} cannot be read`, { cause });
    }
    const fitting = algorithmsOf(key);
    if (fitting.length === 0)
      throw new Error(`${name}: expected RSA of 2048 bits or more, P-256 or Ed25519, got ${key.asymmetricKeyType}`);
    return { id: keyFingerprint(key), key, algorithms: fitting, anyKid: true };
  });
}

export interface PemOptions {
  readonly file: string;
  /** @default 60_000 */
  readonly refreshMs?: number | undefined;
  readonly now: () => number;
  readonly logger: Pick<Logger, 'debug' | 'info' | 'warn'>;
}

/**
 * Keys of a PEM file, read again every `refreshMs`.
 * @throws {Error} at once when the file is missing or holds no fit key: a start with it would refuse everyone.
 */
export function createPemKeySource({ file, refreshMs = 60_000, now, logger }: PemOptions): KeySource {
  const source = createRenewedKeySource({
    name: 'pem',
    initial: parsePublicPem(readFileSync(file, 'utf8'), file),
    load: async () => parsePublicPem(await readFile(file, 'utf8'), file),
    refreshMs,
    cooldownMs: refreshMs,
    now,
    logger,
  });
  // Any `kid` fits these keys, so a token never lacks one that reading the file again could bring.
  return {
    ...source,
    get keys() {
      return source.keys;
    },
    renew: () => undefined,
  };
}
