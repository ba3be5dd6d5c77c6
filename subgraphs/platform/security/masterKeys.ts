import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOrCreateSecretFile } from '#shared/identity.ts';
import { open, seal } from './cipher.ts';

const keyBytes = 32;

/**
 * Wraps data keys. This one has its keys from a file; a key management service stands behind the same interface
 * (vaultKeys.ts), which is why it may answer later.
 */
export interface MasterKeys {
  /** Name of the key that wraps. */
  readonly activeId: string;
  wrap(dataKey: Uint8Array, aad: string): Buffer | Promise<Buffer>;
  /** @throws {Error} where the key of this name is not there any more, or is another. */
  unwrap(wrapped: Uint8Array, keyId: string, aad: string): Buffer | Promise<Buffer>;
}

/**
 * Reads master keys: a line each as `name:base64`, the first one wraps, the others unwrap what they wrapped. A key is
 * replaced by a line in front of it; its own line can go once no data key names it any more.
 * @throws {Error} naming the line that does not fit; never what stands in it.
 */
export function parseMasterKeys(text: string): MasterKeys {
  const keys = new Map<string, KeyObject>();
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name, base64] = /^([\w.-]{1,64}):([A-Za-z0-9+/]{43}=)\s*$/.exec(line) ?? [];
    if (name === undefined || base64 === undefined)
      throw new Error(`line ${at + 1}: expected name:base64 of ${keyBytes} bytes`);
    if (keys.has(name)) throw new Error(`line ${at + 1}: there are two keys of this name`);
    keys.set(name, createSecretKey(Buffer.from(base64, 'base64')));
  }
  const [activeId] = keys.keys();
  if (activeId === undefined) throw new Error('there is no key in it');
  const active = keys.get(activeId)!;
  return {
    activeId,
    wrap: (dataKey, aad) => seal(active, dataKey, aad),
    unwrap(wrapped, keyId, aad) {
      const key = keys.get(keyId);
      if (key === undefined) throw new Error(`the master key ${keyId} is not there`);
      return open(key, wrapped, aad);
    },
  };
}

export interface MasterKeyOptions {
  readonly file: string | undefined;
  readonly dataDir: string;
  readonly production: boolean;
}

/**
 * The master keys of the deployment; outside production `<dataDir>/master.key` is made where no file is named. Null in
 * production without a file: what was sealed by a key that goes with the machine would be lost.
 * @throws {Error} where the file cannot be read or used.
 */
export function loadMasterKeys({ file, dataDir, production }: MasterKeyOptions): MasterKeys | null {
  if (file === undefined && production) return null;
  const path = file ?? join(dataDir, 'master.key');
  try {
    return parseMasterKeys(
      file === undefined
        ? readOrCreateSecretFile(path, () => `development:${randomBytes(keyBytes).toString('base64')}\n`)
        : readFileSync(file, 'utf8'),
    );
  } catch (error) {
    throw new Error(`master keys of ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
