import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coversScope, createPrincipal, hasScope } from '#shared/principal.ts';
import { open, seal } from '../../../subgraphs/platform/security/cipher.ts';
import { loadMasterKeys, parseMasterKeys } from '../../../subgraphs/platform/security/masterKeys.ts';
import { isSecretOf, makeTokenText, readTokenText } from '../../../subgraphs/platform/security/tokenText.ts';

const key = createSecretKey(randomBytes(32));

describe('sealing', () => {
  it('opens what it sealed, and nothing that was changed, of another key or for something else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.nat(), (plain, aad, at) => {
        const sealed = seal(key, plain, aad);
        expect(Buffer.compare(open(key, sealed, aad), Buffer.from(plain))).toBe(0);
        const flipped = Buffer.from(sealed);
        flipped[at % flipped.length]! ^= 1 << (at % 8);
        expect(() => open(key, flipped, aad)).toThrow();
        expect(() => open(key, sealed, `${aad}.`)).toThrow();
        expect(() => open(createSecretKey(randomBytes(32)), sealed, aad)).toThrow();
        expect(() => open(key, sealed.subarray(0, at % sealed.length), aad)).toThrow();
        expect(seal(key, plain, aad).equals(sealed)).toBe(false);
      }),
      { numRuns: 100 },
    );
  });
});

describe('master keys', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'master-keys-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const line = (name: string) => `${name}:${randomBytes(32).toString('base64')}`;

  it('wrap by the first one and unwrap by name', async () => {
    const [old, fresh] = [line('2025'), line('2026')];
    const before = parseMasterKeys(`# kept\n${old}\n`);
    const wrapped = await before.wrap(Buffer.from('data key'), 'place');
    const after = parseMasterKeys(`${fresh}\n${old}`);
    expect([before.activeId, after.activeId]).toEqual(['2025', '2026']);
    expect(String(await after.unwrap(wrapped, '2025', 'place'))).toBe('data key');
    expect(() => after.unwrap(wrapped, '2026', 'place')).toThrow();
    expect(() => parseMasterKeys(fresh).unwrap(wrapped, '2025', 'place')).toThrow('the master key 2025 is not there');
  });

  it.each([
    ['nothing', '\n# only this\n', 'there is no key in it'],
    ['a short key', 'a:AAAA', 'line 1: expected name:base64 of 32 bytes'],
    ['two of a name', 'twice', 'line 2: there are two keys of this name'],
  ])('are refused with %s, and what stands in them is not told', (_, text, message) => {
    const content = text === 'twice' ? `${line('a')}\n${line('a')}` : text;
    expect(() => parseMasterKeys(content)).toThrow(message);
    expect(() => parseMasterKeys(content)).not.toThrow(/AAAA[^ ]/);
  });

  it('are made for development, for its owner alone, and never in production', async () => {
    expect(loadMasterKeys({ file: undefined, dataDir: folder, production: true })).toBeNull();
    const made = loadMasterKeys({ file: undefined, dataDir: folder, production: false })!;
    expect((await stat(join(folder, 'master.key'))).mode & 0o777).toBe(0o600);
    const again = loadMasterKeys({ file: undefined, dataDir: folder, production: false })!;
    expect(String(await again.unwrap(await made.wrap(Buffer.from('k'), 'p'), made.activeId, 'p'))).toBe('k');
    const named = join(folder, 'named');
    await writeFile(named, await readFile(join(folder, 'master.key')));
    expect(loadMasterKeys({ file: named, dataDir: folder, production: true })!.activeId).toBe('development');
    expect(() => loadMasterKeys({ file: join(folder, 'none'), dataDir: folder, production: true })).toThrow(/ENOENT/);
  });
});

describe('the text of an API token', () => {
  it('says its id and its secret, of which only the digest fits', () => {
    const id = crypto.randomUUID();
    const { text, secretHash } = makeTokenText(id);
    const read = readTokenText(text)!;
    expect(read.id).toBe(id);
    expect(isSecretOf(read.secret, secretHash)).toBe(true);
    expect(isSecretOf(`${read.secret.slice(0, -1)}${read.secret.endsWith('A') ? 'E' : 'A'}`, secretHash)).toBe(false);
    expect(secretHash.toString('base64url')).not.toBe(read.secret);
    for (const other of ['', 'mplp_', `${text}x`, text.toUpperCase(), text.replace('mplp_', 'mplq_'), `${text}\n`])
      expect(readTokenText(other)).toBeNull();
  });
});

describe('scopes within scopes', () => {
  const part = fc.constantFrom('*', 'a', 'b');
  const scope = fc.oneof(
    fc.constant('*'),
    fc.tuple(part, part).map(([resource, action]) => `${resource}:${action}`),
  );
  it('cover exactly what grants at least as much', () => {
    const permissions = ['a', 'b', 'c'].flatMap((resource) => ['a', 'b', 'c'].map((action) => `${resource}:${action}`));
    fc.assert(
      fc.property(scope, scope, (own, wanted) => {
        const holder = createPrincipal({ tenantId: 't', subject: 's', scopes: [own] });
        const other = createPrincipal({ tenantId: 't', subject: 's', scopes: [wanted] });
        // `c` stands for every name there is: what a star grants, only a star covers.
        const isWithin = permissions.every((each) => !hasScope(other, each) || hasScope(holder, each));
        expect(coversScope(holder, wanted)).toBe(isWithin);
      }),
    );
  });
});
