import { generateKeyPairSync, sign } from 'node:crypto';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../subgraphs/extension/manifest/signature.ts';
import { PackageProblem } from '../../subgraphs/extension/packages/limits.ts';
import { readTar } from '../../subgraphs/extension/packages/tar.ts';
import { readZip } from '../../subgraphs/extension/packages/zip.ts';
import { admin, calculator, codesOf, type ExtensionRig, manifestOf, openExtensionRig, trustedKey } from './rig.ts';

type Files = readonly (readonly [name: string, content: string])[];

/** As archivers write it; `lie` changes what the directory says of each size. */
function zip(files: Files, { stored = false, lie = 0 } = {}): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of files) {
    const raw = Buffer.from(content);
    const data = stored ? raw : deflateRawSync(raw);
    const header = (size: number) => {
      const bytes = Buffer.alloc(size);
      const at = size === 30 ? 6 : 8;
      bytes.writeUInt16LE(stored ? 0 : 8, at + 2);
      bytes.writeUInt32LE(crc32(raw), at + 8);
      bytes.writeUInt32LE(data.length, at + 12);
      bytes.writeUInt32LE(raw.length + lie, at + 16);
      bytes.writeUInt16LE(Buffer.byteLength(name), at + 20);
      return bytes;
    };
    const local = header(30);
    local.writeUInt32LE(0x04034b50, 0);
    const central = header(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(name), data);
    directory.push(central, Buffer.from(name));
    offset += 30 + Buffer.byteLength(name) + data.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}

/** A record of pax: its length counts itself. */
function pax(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  const length = bytes + String(bytes + String(bytes).length).length;
  return `${length}${rest}`;
}

/** Files of one type; `records` stand before the first, in a header of `kind`. */
function tar(files: Files, type = '0', records = '', kind = 'x'): Buffer {
  const entries = files.map(([name, content]) => [name, content, type] as const);
  if (records !== '') entries.unshift(['records', records, kind]);
  const blocks = entries.flatMap(([name, content, type]) => {
    const data = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write(data.length.toString(8).padStart(11, '0'), 124);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\u000000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1_024)]);
}

const shown = (files: ReadonlyMap<string, Buffer>) => [...files].map(([name, content]) => [name, content.toString()]);

describe('archives', () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8}){0,2}$/), { minLength: 1, maxLength: 8 });
  test('what was packed is what is read, in either form', () => {
    fc.assert(
      fc.property(
        names,
        fc.array(fc.string({ maxLength: 2_000 }), { minLength: 8, maxLength: 8 }),
        (list, contents) => {
          const files = list.map((name, at) => [name, Buffer.from(contents[at]!).toString()] as const);
          expect(shown(readZip(zip(files)))).toEqual(files);
          expect(shown(readZip(zip(files, { stored: true })))).toEqual(files);
          expect(shown(readTar(tar(files)))).toEqual(files);
          expect(shown(readTar(gzipSync(tar(files))))).toEqual(files);
        },
      ),
    );
  });

  test('records of pax name a file, whatever is in the name', () => {
    const long = `${'folder/'.repeat(30)}main.js`;
    const records = pax('comment', 'size=3\npath=elsewhere') + pax('path', long);
    expect(shown(readTar(tar([['short', '1']], '0', records)))).toEqual([[long, '1']]);
    expect(shown(readTar(tar([['short', '1']], '0', pax('comment', 'abc'), 'g')))).toEqual([['short', '1']]);
  });

  test('whatever is broken in it, an archive is read right or refused, and nothing else happens', () => {
    const good = [
      zip([
        ['manifest.json', '{}'],
        ['main.js', calculator],
      ]),
      tar([
        ['manifest.json', '{}'],
        ['main.js', calculator],
      ]),
    ];
    fc.assert(
      fc.property(fc.constantFrom(0, 1), fc.nat(), fc.nat(255), fc.nat(), (which, place, byte, cut) => {
        const bytes = Buffer.from(good[which]!);
        bytes[place % bytes.length] = byte;
        for (const broken of [bytes, bytes.subarray(0, cut % bytes.length)]) {
          try {
            (which === 0 ? readZip : readTar)(broken);
          } catch (error) {
            expect(error).toBeInstanceOf(PackageProblem);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each<readonly [string, () => unknown]>([
    [
      'a file twice',
      () =>
        readZip(
          zip([
            ['a', '1'],
            ['a', '2'],
          ]),
        ),
    ],
    ['a way out', () => readZip(zip([['../a', '1']]))],
    ['a way out of a tar', () => readTar(tar([['a/../../b', '1']]))],
    ['an absolute path', () => readTar(tar([['/etc/passwd', '1']]))],
    ['another size in a record', () => readTar(tar([['a', '1']], '0', pax('size', '512')))],
    ['a sparse file', () => readTar(tar([['a', '1']], '0', pax('GNU.sparse.major', '1')))],
    ['one name for all', () => readTar(tar([['a', '1']], '0', pax('path', 'b'), 'g'))],
    ['a record without its end', () => readTar(tar([['a', '1']], '0', '90 path=b\n'))],
    ['a record that is none', () => readTar(tar([['a', '1']], '0', 'path=b\n'))],
    ['a link', () => readTar(tar([['a', '']], '2'))],
    ['more than the directory says', () => readZip(zip([['a', 'x'.repeat(5_000)]], { lie: -4_000 }))],
    ['a bomb', () => readZip(zip([['a', 'x'.repeat(5_000_000)]]))],
    ['a bomb in gzip', () => readTar(gzipSync(tar([['a', 'x'.repeat(6_000_000)]])))],
    ['more files than a package has', () => readTar(tar(Array.from({ length: 201 }, (_, at) => [`f${at}`, ''])))],
    ['no archive', () => readZip(Buffer.from('no archive at all, but long enough to be one'))],
  ])('%s is refused', (_name, read) => {
    expect(read).toThrow(PackageProblem);
  });
});

describe('releases that come as packages', () => {
  let rig: ExtensionRig;
  let contextId: string;
  beforeAll(async () => {
    rig = await openExtensionRig();
    contextId = rig.openContext('one');
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  const register = `mutation ($input: RegisterExtensionInput!) { registerExtension(input: $input) {
    extension { id integrations { targetModule type isActive providedCapabilities } permissions { resource actions scope }
      capabilities { metrics { totalInvocations avgResponseTimeMs } }
      currentRelease { checksum sizeBytes isSigned signature validationStatus package { format checksum sizeBytes } } } userErrors { code message } } }`;
  const manifest = JSON.stringify(manifestOf());
  let serial = 0;
  const send = async (release: object) => {
    serial += 1;
    const input = { contextId, name: `packed-${serial}`, extensionType: 'CAPABILITY', version: '1.0.0', release };
    return (await rig.ask(admin, register, { input }))['registerExtension']!;
  };
  const packed = (format: string, content: Buffer, more: object = {}) => ({
    package: { format, content: content.toString('base64') },
    checksum: digestOf(content).toString('hex'),
    ...more,
  });

  test('a ZIP, a tar and an npm package carry manifest and code, and run', async () => {
    const npm = JSON.stringify({ name: 'sums', version: '1.0.0', mplp: manifestOf() });
    for (const [format, content] of [
      [
        'ZIP',
        zip([
          ['sums/manifest.json', manifest],
          ['sums/main.js', calculator],
          ['sums/README.md', 'Sums.'],
        ]),
      ],
      [
        'TAR',
        tar([
          ['manifest.json', manifest],
          ['main.js', calculator],
        ]),
      ],
      [
        'NPM',
        gzipSync(
          tar([
            ['package/package.json', npm],
            ['package/main.js', calculator],
          ]),
        ),
      ],
    ] as const) {
      const made = await send(packed(format, content));
      expect(codesOf(made)).toEqual([]);
      expect(made['extension']!['currentRelease']).toMatchObject({
        checksum: digestOf(calculator).toString('hex'),
        sizeBytes: Buffer.byteLength(calculator),
        ...{ isSigned: false, signature: null, validationStatus: 'PENDING' },
        package: { format, checksum: digestOf(content).toString('hex'), sizeBytes: content.length },
      });
      expect(made['extension']!['integrations']).toMatchObject([
        { targetModule: 'core', type: 'CAPABILITY_PROVIDER', isActive: false, providedCapabilities: ['sums'] },
      ]);
      expect(made['extension']!['capabilities']).toMatchObject([
        { metrics: { totalInvocations: 0, avgResponseTimeMs: null } },
      ]);
      const id = made['extension']!['id'];
      const load = `mutation ($id: ID!) { installExtension(input: { extensionId: $id }) { userErrors { code message } } activateExtension(extensionId: $id) { extension { runtimeState } userErrors { code message } } }`;
      const loaded = await rig.ask(admin, load, { id });
      expect(codesOf(loaded['installExtension']!)).toEqual([]);
      expect(loaded['activateExtension']).toMatchObject({ userErrors: [], extension: { runtimeState: 'ACTIVE' } });
    }
  });

  test('the signature is over the package: another key or another package is refused, Ed25519 and RSA alike', async () => {
    const content = zip([
      ['manifest.json', manifest],
      ['main.js', calculator],
    ]);
    const key = await trustedKey(rig);
    const signature = sign(null, digestOf(content), key).toString('base64');
    const made = await send(packed('ZIP', content, { signature }));
    expect(made['extension']!['currentRelease']).toMatchObject({
      isSigned: true,
      signature,
      validationStatus: 'PASSED',
    });
    const ofCode = sign(null, digestOf(calculator), key).toString('base64');
    expect(codesOf(await send(packed('ZIP', content, { signature: ofCode })))).toEqual(['SIGNATURE_INVALID']);
    const makeKnown =
      'mutation ($input: RegisterPublisherKeyInput!) { registerPublisherKey(input: $input) { userErrors { code } } }';
    const known = async (modulusLength: number) => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
      const input = { publisherId: 'rsa', name: 'RSA', publicKey: pem, trustLevel: 'HIGH' };
      return { privateKey, codes: codesOf((await rig.ask(admin, makeKnown, { input }))['registerPublisherKey']!) };
    };
    expect((await known(1_024)).codes).toEqual(['VALIDATION_FAILED']);
    const { privateKey } = await known(2_048);
    const rsa = sign('sha256', digestOf(content), privateKey).toString('base64');
    expect((await send(packed('ZIP', content, { signature: rsa })))['extension']!['currentRelease']).toMatchObject({
      isSigned: true,
    });
    const broken = sign('sha256', digestOf(calculator), privateKey).toString('base64');
    expect(codesOf(await send(packed('ZIP', content, { signature: broken })))).toEqual(['SIGNATURE_INVALID']);
  });

  test('what does not fit is refused, and nothing of it is stored', async () => {
    const content = zip([
      ['manifest.json', manifest],
      ['main.js', calculator],
    ]);
    const count = async () => Number((await rig.sql`SELECT count(*)::int AS n FROM extension.release`)[0]!['n']);
    const before = await count();
    for (const [code, release] of [
      ['CHECKSUM_MISMATCH', { ...packed('ZIP', content), checksum: '0'.repeat(64) }],
      ['PACKAGE_INVALID', packed('TAR', content)],
      ['PACKAGE_INVALID', packed('ZIP', zip([['main.js', calculator]]))],
      ['PACKAGE_INVALID', packed('ZIP', zip([['manifest.json', manifest]]))],
      [
        'PACKAGE_INVALID',
        packed(
          'ZIP',
          zip([
            ['manifest.json', '[1'],
            ['main.js', calculator],
          ]),
        ),
      ],
      ['PACKAGE_INVALID', packed('NPM', gzipSync(tar([['package/main.js', calculator]])))],
      [
        'MANIFEST_INVALID',
        packed(
          'ZIP',
          zip([
            ['manifest.json', '{"entry_point":"main.js"}'],
            ['main.js', calculator],
          ]),
        ),
      ],
      ['VALIDATION_FAILED', { ...packed('ZIP', content), bundle: calculator, manifest: manifestOf() }],
      ['VALIDATION_FAILED', { ...packed('ZIP', content), package: { format: 'ZIP', content: '%%%' } }],
      ['VALIDATION_FAILED', { checksum: digestOf(calculator).toString('hex') }],
    ] as const)
      expect([code, codesOf(await send(release))]).toEqual([code, [code]]);
    expect(await count()).toBe(before);
  });
});
