import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { createOnce } from '#shared/once.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createSecurity } from '../../../subgraphs/platform/security/service.ts';
import { eventCalls } from '../eventCalls.ts';
import { startReceiver } from '../receiver.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from '../rig.ts';

let folder: string;
let rig: PlatformRig;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'encryption-'));
  rig = await openPlatformRig({ env: { DATA_DIR: folder, WEBHOOK_NETWORKS: '127.0.0.0/8,::1', DATA_KEY_DAYS: '30' } });
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Who = ReturnType<typeof principal>;
const errors = 'userErrors { code path message }';
const encrypt = async (who: Who, plaintext: string, context: string | null = null, on = rig): Promise<Json> =>
  (
    await on.ask(
      who,
      `mutation ($plaintext: String!, $context: String) { encrypt(plaintext: $plaintext, context: $context) { ciphertext keyVersion ${errors} } }`,
      { plaintext, context },
    )
  ).encrypt;
const decrypt = async (who: Who, ciphertext: string, context: string | null = null, on = rig): Promise<Json> =>
  (
    await on.ask(
      who,
      `mutation ($ciphertext: String!, $context: String) { decrypt(ciphertext: $ciphertext, context: $context) { plaintext keyVersion ${errors} } }`,
      { ciphertext, context },
    )
  ).decrypt;
const rotate = async (who: Who, args = ''): Promise<Json> =>
  (await rig.ask(who, `mutation { rotateEncryptionKey${args} { encryptionKey { version retiredAt } ${errors} } }`))
    .rotateEncryptionKey;
const keys = async (who: Who): Promise<Json[]> =>
  (await rig.ask(who, '{ encryptionKeys { version algorithm masterKeyId retiredAt } }')).encryptionKeys;
const refused = [{ code: 'VALIDATION_FAILED' }];

describe('field encryption', () => {
  it('opens for the tenant and the context it was sealed for, and says nothing of it otherwise', async () => {
    const who = principal('ann', 'sealing');
    for (const text of ['', 'a', 'ünïcode 🙂', 'x'.repeat(65_536)]) {
      const { ciphertext, keyVersion } = await encrypt(who, text, 'card');
      expect(keyVersion).toBe(1);
      expect(await decrypt(who, ciphertext, 'card')).toEqual({ plaintext: text, keyVersion: 1, userErrors: [] });
    }
    const { ciphertext } = await encrypt(who, 'the secret', 'card');
    expect(ciphertext).not.toContain(Buffer.from('the secret').toString('base64url').slice(0, 8));
    expect((await encrypt(who, 'the secret', 'card')).ciphertext).not.toBe(ciphertext);
    expect((await decrypt(who, ciphertext)).userErrors).toMatchObject(refused);
    expect((await decrypt(who, ciphertext, 'cards')).userErrors).toMatchObject(refused);
    await encrypt(principal('ann', 'other'), 'makes a key');
    expect((await decrypt(principal('ann', 'other'), ciphertext, 'card')).userErrors).toMatchObject(refused);
    const at = ciphertext.length - 5;
    const changed = `${ciphertext.slice(0, at)}${ciphertext[at] === 'A' ? 'B' : 'A'}${ciphertext.slice(at + 1)}`;
    for (const bad of [changed, 'mplp.v1.9.AAAA', 'mplp.v1.1.', 'plain', ''])
      expect((await decrypt(who, bad, 'card')).userErrors).toMatchObject(refused);
    expect((await encrypt(who, 'x'.repeat(65_537))).userErrors).toMatchObject(refused);
    expect((await encrypt(who, 'nul\0')).userErrors).toMatchObject(refused);
  });

  it('opens upon a stepped-up authentication only', async () => {
    const { ciphertext } = await encrypt(principal('ann', 'weak'), 'x');
    const weak = createPrincipal({ tenantId: 'weak', subject: 'ann', scopes: ['*'] });
    await expect(decrypt(weak, ciphertext)).rejects.toThrow('stronger authentication');
  });

  it('makes one first key for many callers at once', async () => {
    const who = principal('ann', 'first');
    const all = await Promise.all(Array.from({ length: 10 }, (_, n) => encrypt(who, String(n))));
    expect(all.map(({ keyVersion }) => keyVersion)).toEqual(Array(10).fill(1));
    expect(await keys(who)).toEqual([
      { version: 1, algorithm: 'AES-256-GCM', masterKeyId: 'development', retiredAt: null },
    ]);
    expect(await keys(principal('ann', 'nobody'))).toEqual([]);
  });

  it('seals by the new key after a rotation and opens what the old one sealed', async () => {
    const who = principal('ann', 'rotating');
    const { ciphertext } = await encrypt(who, 'before');
    expect((await rotate(who, '(expectedVersion: 0)')).userErrors).toMatchObject([{ code: 'VERSION_CONFLICT' }]);
    const [first, again] = [
      await rotate(who, '(expectedVersion: 1, idempotencyKey: "k")'),
      await rotate(who, '(expectedVersion: 1, idempotencyKey: "k")'),
    ];
    expect(first).toEqual({ encryptionKey: { version: 2, retiredAt: null }, userErrors: [] });
    expect(again).toEqual(first);
    expect((await encrypt(who, 'after')).keyVersion).toBe(2);
    expect(await decrypt(who, ciphertext)).toMatchObject({ plaintext: 'before', keyVersion: 1 });
    expect((await keys(who)).map(({ version, retiredAt }) => [version, retiredAt === null])).toEqual([
      [2, true],
      [1, false],
    ]);
    const rows = await rig.sql`SELECT wrapped FROM platform.data_key WHERE tenant_id = 'rotating'`;
    expect(rows).toHaveLength(2);
    for (const { wrapped } of rows) expect((wrapped as Uint8Array).length).toBe(32 + 12 + 16);
  });
});

describe('secrets that the platform keeps', () => {
  const stored = async (tenant: string): Promise<string[]> =>
    [
      ...(await rig.sql`SELECT secret AS text FROM platform.event_subscription WHERE tenant_id = ${tenant} AND secret IS NOT NULL
      UNION ALL SELECT value::text FROM platform.config_version WHERE tenant_id = ${tenant} AND secret AND value IS NOT NULL
      UNION ALL SELECT value::text FROM platform.config_entry WHERE tenant_id = ${tenant} AND secret AND value IS NOT NULL`),
    ].map(({ text }) => text as string);
  const versions = (all: readonly string[]) => all.map((text) => /mplp\.v1\.(\d+)\./.exec(text)?.[1] ?? 'open').sort();
  const setSecret = (who: Who, value: unknown) =>
    rig.ask(who, `mutation ($input: SetConfigInput!) { setConfig(input: $input) { entry { version } ${errors} } }`, {
      input: { key: 'smtp.password', value, secret: true },
    });

  it('stand sealed in every column, and sign webhooks all the same', async () => {
    await using receiver = await startReceiver();
    const who = principal('ann', 'kept');
    const { subscribe, publish } = eventCalls(() => rig);
    const secret = 'a very secret secret';
    await subscribe(who, { name: 'hook', target: 'WEBHOOK', url: receiver.url, secret, patterns: ['order.*'] });
    await setSecret(who, { user: 'u', password: 'hunter2hunter2' });
    const before = await stored('kept');
    expect(versions(before)).toEqual(['1', '1', '1']);
    expect(before.join()).not.toMatch(/secret secret|hunter2/);
    await publish(who, [{ type: 'order.placed', payload: { n: 1 } }]);
    await until(
      async () => receiver.calls.length,
      (count) => count > 0,
    );
    const [call] = receiver.calls;
    const signature = String(Object.entries(call!.headers).find(([name]) => name.includes('signature'))?.[1]);
    const [, at, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
    expect(createHmac('sha256', secret).update(`${at}.${call!.body}`).digest('hex')).toBe(digest);
  });

  it('are sealed anew after a rotation, also those from before secrets were sealed', async () => {
    const who = principal('ann', 'reseal');
    await setSecret(who, 'one');
    await setSecret(who, 'two');
    await rig.sql`UPDATE platform.config_version SET value = '"open"'::jsonb WHERE tenant_id = 'reseal' AND version = 1`;
    expect(versions(await stored('reseal'))).toEqual(['1', '1', 'open']);
    await rotate(who);
    await rig.run('resealSecrets', { tenantId: 'reseal' });
    expect(versions(await stored('reseal'))).toEqual(['2', '2', '2']);
    await rig.run('resealSecrets', { tenantId: 'reseal' });
    expect(versions(await stored('reseal'))).toEqual(['2', '2', '2']);
    await rig.sql`UPDATE platform.data_key SET created_at = now() - interval '31 days' WHERE tenant_id = 'reseal'`;
    await rig.run('maintainKeys');
    expect(versions(await stored('reseal'))).toEqual(['3', '3', '3']);
    // What it says is what it said: a version of old comes back and opens.
    const back = await rig.ask(
      who,
      `mutation { rollbackConfig(key: "smtp.password", version: 1) { entry { version } ${errors} } }`,
    );
    expect(back.rollbackConfig.userErrors).toEqual([]);
    await rotate(who);
    await rig.run('resealSecrets', { tenantId: 'reseal' });
    expect(versions(await stored('reseal'))).toEqual(['4', '4', '4', '4']);
  });
});

describe('master keys', () => {
  const line = (name: string) => `${name}:${randomBytes(32).toString('base64')}`;

  it('are replaced by a line in front: data keys go under it, and the old line can go', async () => {
    const [old, fresh] = [line('old'), line('fresh')];
    const file = join(folder, 'keys');
    const at = async (text: string) => {
      await writeFile(file, text);
      return openPlatformRig({ databaseUrl: rig.databaseUrl, env: { ENCRYPTION_KEY_FILE: file } });
    };
    const who = principal('ann', 'masters');
    // Its own tenants only: those of the other tests lie under the key of their own rig.
    await rig.sql`DELETE FROM platform.data_key WHERE tenant_id <> 'masters'`;
    await rig.sql`DELETE FROM platform.event_subscription`;
    await rig.sql`DELETE FROM platform.config_version WHERE secret`;
    const first = await at(old);
    const { ciphertext } = await encrypt(who, 'kept', null, first);
    await first[Symbol.asyncDispose]();
    const second = await at(`${fresh}\n${old}`);
    expect(await decrypt(who, ciphertext, null, second)).toMatchObject({ plaintext: 'kept' });
    await second.run('maintainKeys');
    await second[Symbol.asyncDispose]();
    const third = await at(fresh);
    expect(await decrypt(who, ciphertext, null, third)).toMatchObject({ plaintext: 'kept', keyVersion: 1 });
    await third[Symbol.asyncDispose]();
  });

  it('are not there in production without a file: nothing is sealed, and nothing is stored open', async () => {
    const bare = await openPlatformRig({ databaseUrl: rig.databaseUrl, env: { NODE_ENV: 'production' } });
    const who = principal('ann', 'bare');
    const answered = await bare.answer(who, 'mutation { encrypt(plaintext: "x") { ciphertext userErrors { code } } }');
    expect(answered.errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }]);
    const set = await bare.answer(
      who,
      'mutation { setConfig(input: { key: "a.b", value: "x", secret: true }) { userErrors { code } } }',
    );
    expect(set.errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }]);
    expect(await rig.sql`SELECT 1 FROM platform.config_version WHERE tenant_id = 'bare'`).toHaveLength(0);
    await bare[Symbol.asyncDispose]();
    const config = readConfig({ NODE_ENV: 'production', ENCRYPTION_KEY_FILE: join(folder, 'none') });
    expect(() => createSecurity({ ...rig.runtime, config }, createOnce('platform', rig.runtime))).toThrow(
      'master keys of',
    );
  });
});
