import { readFileSync } from 'node:fs';
import { PlatformError } from '#shared/errors.ts';
import type { MasterKeys } from './masterKeys.ts';

const timeoutMs = 5_000;

export interface VaultOptions {
  /** Of the server: `https://vault:8200`. */
  readonly url: string;
  /** Of a transit key that takes associated data: aes256-gcm96, say. */
  readonly key: string;
  readonly mount: string;
  /** Read at each call: agents replace it. */
  readonly tokenFile: string;
}

/**
 * Master keys that never leave a key management service: the transit engine of Vault or OpenBao, or what speaks like it
 * (`POST /v1/<mount>/encrypt|decrypt/<key>`). Versions of the key are the service's own, and stand in what it wrapped.
 */
export function createVaultKeys({ url, key, mount, tokenFile }: VaultOptions): MasterKeys {
  const activeId = `vault/${mount}/${key}`;

  /** @throws {UNAVAILABLE} where it does not answer, or does not let us. Never says what it was sent. */
  async function ask(operation: 'encrypt' | 'decrypt', body: Readonly<Record<string, string>>): Promise<string> {
    const unavailable = (why: string, cause?: unknown) =>
      new PlatformError('UNAVAILABLE', `the key management service ${why}`, { cause });
    let response: Response;
    try {
      response = await fetch(new URL(`/v1/${mount}/${operation}/${encodeURIComponent(key)}`, url), {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-vault-token': readFileSync(tokenFile, 'utf8').trim() },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (error) {
      throw unavailable('does not answer', error);
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw unavailable(`answered with status ${response.status}`);
    }
    const { data } = (await response.json().catch(() => ({}))) as { data?: Readonly<Record<string, unknown>> };
    const result = data?.[operation === 'encrypt' ? 'ciphertext' : 'plaintext'];
    if (typeof result !== 'string') throw unavailable('answered something else');
    return result;
  }

  const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64');
  return {
    activeId,
    wrap: async (dataKey, aad) =>
      Buffer.from(await ask('encrypt', { plaintext: base64(dataKey), associated_data: base64(aad) })),
    async unwrap(wrapped, keyId, aad) {
      if (keyId !== activeId) throw new Error(`the master key ${keyId} is not there`);
      const ciphertext = Buffer.from(wrapped).toString('utf8');
      return Buffer.from(await ask('decrypt', { ciphertext, associated_data: base64(aad) }), 'base64');
    },
  };
}

/** Wraps by the first; what others wrapped they unwrap, until it is wrapped anew. */
export function withEarlierKeys(active: MasterKeys, earlier: MasterKeys | null): MasterKeys {
  if (earlier === null) return active;
  return {
    ...active,
    unwrap: (wrapped, keyId, aad) => (keyId === active.activeId ? active : earlier).unwrap(wrapped, keyId, aad),
  };
}
