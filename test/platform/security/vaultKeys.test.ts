import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseMasterKeys } from '../../../subgraphs/platform/security/masterKeys.ts';
import { openPlatformRig, type PlatformRig, principal } from '../rig.ts';

/** The transit engine as its API describes it: AES-256-GCM under keys it keeps, associated data bound in. */
function startTransit(token: string) {
  const keys = new Map<string, Buffer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer = (status: number, body: unknown) => response.writeHead(status).end(JSON.stringify(body));
      const [, operation, name] = /^\/v1\/secret\/transit\/(encrypt|decrypt)\/([\w.-]+)$/.exec(request.url!) ?? [];
      requests.push(`${request.method} ${request.url}`);
      if (request.headers['x-vault-token'] !== token) return answer(403, { errors: ['permission denied'] });
      if (request.method !== 'POST' || name === undefined) return answer(404, { errors: [] });
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>;
      const key = keys.get(name) ?? randomBytes(32);
      keys.set(name, key);
      const aad = Buffer.from(body['associated_data']!, 'base64');
      if (operation === 'encrypt') {
        const iv = randomBytes(12);
        const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
        const sealed = Buffer.concat([cipher.update(Buffer.from(body['plaintext']!, 'base64')), cipher.final()]);
        const text = Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64');
        return answer(200, { data: { ciphertext: `vault:v1:${text}` } });
      }
      try {
        const bytes = Buffer.from(body['ciphertext']!.slice('vault:v1:'.length), 'base64');
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(aad);
        decipher.setAuthTag(bytes.subarray(-16));
        const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
        return answer(200, { data: { plaintext: plain.toString('base64') } });
      } catch {
        return answer(400, { errors: ['invalid ciphertext'] });
      }
    });
  });
  return { server, requests };
}

const sealing = 'mutation ($text: String!) { encrypt(plaintext: $text) { ciphertext userErrors { code } } }';
const opening = 'mutation ($text: String!) { decrypt(ciphertext: $text) { plaintext userErrors { code message } } }';
const who = principal('ann', 'vault', ['crypto:encrypt', 'crypto:decrypt', 'key:admin']);

describe('master keys in a key management service', () => {
  let folder: string;
  let transit: { server: Server; requests: string[] };
  let env: Record<string, string>;
  let fileRig: PlatformRig;
  let rig: PlatformRig;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vault-'));
    transit = startTransit('hvs.secret');
    await new Promise<void>((resolve) => transit.server.listen(0, '127.0.0.1', resolve));
    const { port } = transit.server.address() as AddressInfo;
    await writeFile(join(folder, 'token'), 'hvs.secret\n');
    await writeFile(join(folder, 'keys'), `first:${randomBytes(32).toString('base64')}\n`);
    env = {
      DATA_DIR: folder,
      ENCRYPTION_KEY_FILE: join(folder, 'keys'),
      ENCRYPTION_VAULT_URL: `http://127.0.0.1:${port}`,
      ENCRYPTION_VAULT_MOUNT: 'secret/transit',
      ENCRYPTION_VAULT_TOKEN_FILE: join(folder, 'token'),
    };
    fileRig = await openPlatformRig({ env: { DATA_DIR: folder, ENCRYPTION_KEY_FILE: join(folder, 'keys') } });
    rig = await openPlatformRig({ env, databaseUrl: fileRig.databaseUrl });
  });
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
    await fileRig?.[Symbol.asyncDispose]();
    await new Promise((resolve) => transit.server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });
  const masters = async () =>
    (await rig.sql`SELECT DISTINCT master_key_id AS id FROM platform.data_key`).map(({ id }) => id as string);

  it('open what a file wrapped before, and wrap it anew under their own', async () => {
    const { encrypt } = await fileRig.ask(who, sealing, { text: 'kept since the file' });
    expect(await masters()).toEqual(['first']);
    expect((await rig.ask(who, opening, { text: encrypt.ciphertext })).decrypt.plaintext).toBe('kept since the file');
    await rig.run('maintainKeys');
    expect(await masters()).toEqual(['vault/secret/transit/mplp']);
    const anew = await openPlatformRig({ env, databaseUrl: fileRig.databaseUrl });
    expect((await anew.ask(who, opening, { text: encrypt.ciphertext })).decrypt.plaintext).toBe('kept since the file');
    await anew[Symbol.asyncDispose]();
    expect(transit.requests).toContain('POST /v1/secret/transit/decrypt/mplp');
    // The file cannot open what the service wrapped.
    const keys = parseMasterKeys(`first:${randomBytes(32).toString('base64')}`);
    expect(() => keys.unwrap(Buffer.from('x'), 'vault/secret/transit/mplp', '')).toThrow('is not there');
  });

  it('are UNAVAILABLE where the service refuses, and say nothing of what it was sent', async () => {
    await writeFile(join(folder, 'token'), 'hvs.old');
    const other = principal('ann', 'vault-two', ['crypto:encrypt']);
    const refused = await rig.answer(other, sealing, { text: 'never' });
    const said = JSON.stringify(refused);
    expect(said).toContain('UNAVAILABLE');
    expect(said).toContain('status 403');
    expect(said).not.toContain('hvs');
    await writeFile(join(folder, 'token'), 'hvs.secret');
    const { encrypt } = await rig.ask(other, sealing, { text: 'now' });
    expect(encrypt.userErrors).toEqual([]);
  });

  it('tells the audit who opened what, and who tried to', async () => {
    const { encrypt } = await rig.ask(who, sealing, { text: 'seen' });
    const eve = principal('eve', 'vault', ['crypto:decrypt']);
    await rig.ask(eve, opening, { text: encrypt.ciphertext });
    await rig.answer(eve, opening, { text: `${encrypt.ciphertext.slice(0, -2)}AA` });
    const rows = await rig.sql`
      SELECT actor, action, length(resource_id) AS digest, detail FROM platform.audit
      WHERE tenant_id = ${eve.tenantId} AND actor = 'eve' ORDER BY position`;
    const expected = { actor: 'eve', digest: 64, detail: { context: null, keyVersion: 1 } };
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { ...expected, action: 'encryption.text.opened' },
      { ...expected, action: 'encryption.text.refused' },
    ]);
    expect(JSON.stringify(rows)).not.toContain('seen');
  });
});
