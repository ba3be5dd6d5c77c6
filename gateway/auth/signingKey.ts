import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOrCreateSecretFile } from '#shared/identity.ts';
import { type Algorithm, algorithmsOf } from './algorithms.ts';
import type { VerificationKey } from './jwt.ts';
import { keyFingerprint } from './pemKeys.ts';

/** A private key that mints tokens, and the public half that verifies them. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly algorithm: Algorithm;
  readonly kid: string;
  readonly verification: VerificationKey;
}

function readPrivatePem(pem: string, name: string): SigningKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (cause) {
    throw new Error(`${name}: expected a PEM private key`, { cause });
  }
  const key = createPublicKey(privateKey);
  const fitting = algorithmsOf(key);
  const [algorithm] = fitting;
  if (!algorithm)
    throw new Error(
      `${name}: expected RSA of 2048 bits or more, P-256 or Ed25519, got ${privateKey.asymmetricKeyType}`,
    );
  const kid = keyFingerprint(key);
  return { privateKey, algorithm, kid, verification: { id: kid, kid, key, algorithms: fitting, anyKid: false } };
}

/** @throws {Error} when the file is missing or holds no private key that fits. */
export function loadSigningKey(file: string): SigningKey {
  return readPrivatePem(readFileSync(file, 'utf8'), file);
}

/** Folder of the development keys below DATA_DIR. */
export function developmentKeyDir(dataDir: string): string {
  return join(dataDir, 'keys');
}

/** The Ed25519 key of development mode, made once per data folder and shared by the gateway and the token command. */
export function loadDevelopmentKey(directory: string): SigningKey {
  const path = join(directory, 'development.key.pem');
  const pem = readOrCreateSecretFile(path, () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  return readPrivatePem(pem, path);
}
