import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { noTrustedDocuments, readTrustedDocuments } from '#shared/trustedDocuments.ts';
import { createPersistedDocuments, withTrusted } from '../../../gateway/documents/persistedDocuments.ts';
import { resolveTrusted } from '../../../gateway/documents/requestedDocument.ts';

const sha = (text: string) => createHash('sha256').update(text).digest('hex');
const document = () => `{ a${crypto.randomUUID().replaceAll('-', '')} }`;

describe('persisted documents', () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = new Redis(inject('redisUrl'));
    await redis.ping();
  });
  afterAll(() => redis.disconnect());

  it('that one instance was sent are known to all', async () => {
    const [one, other, alone] = [
      createPersistedDocuments(redis),
      createPersistedDocuments(redis),
      createPersistedDocuments(null),
    ];
    const text = document();
    expect(await other.get(sha(text))).toBeUndefined();
    await one.set(sha(text), text);
    // The other has not asked for it yet.
    expect([one.peek(sha(text)), other.peek(sha(text))]).toEqual([text, undefined]);
    expect([await one.get(sha(text)), await other.get(sha(text)), await alone.get(sha(text))]).toEqual([
      text,
      text,
      undefined,
    ]);
  });

  it('that somebody put into Redis under the hash of another are not believed', async () => {
    const [text, forged] = [document(), document()];
    await redis.set(`mplp:document:${sha(text)}`, forged);
    expect(await createPersistedDocuments(redis).get(sha(text))).toBeUndefined();
  });

  it('under what is no hash are neither kept nor asked for', async () => {
    const documents = createPersistedDocuments(redis);
    for (const key of ['', 'x', '*', 'A'.repeat(64), 'a'.repeat(65_536)]) {
      await documents.set(key, '{ a }');
      expect(await documents.get(key)).toBeUndefined();
      expect(await redis.exists(`mplp:document:${key}`)).toBe(0);
    }
  });

  it('of a million hashes leave the memory as it is', async () => {
    const documents = createPersistedDocuments(null);
    const text = `{ ${'a '.repeat(1_000)} }`;
    for (let nth = 0; nth < 20_000; nth += 1) await documents.set(sha(String(nth)), text);
    const kept = await Promise.all(Array.from({ length: 20_000 }, (_, nth) => documents.get(sha(String(nth)))));
    const count = kept.filter((found) => found !== undefined).length;
    expect(count).toBeGreaterThan(1_000);
    expect(count).toBeLessThanOrEqual(5_000);
  });

  it('of very many hashes leave Redis with what the instance holds, and others with theirs', async () => {
    const [documents, other] = [createPersistedDocuments(redis), createPersistedDocuments(redis)];
    const kept = document();
    await other.set(sha(kept), kept);
    expect(await documents.get(sha(kept))).toBe(kept);
    const run = crypto.randomUUID();
    const hashes = Array.from({ length: 50_000 }, (_, nth) => sha(`${run} ${nth}`));
    for (let from = 0; from < hashes.length; from += 5_000)
      await Promise.all(hashes.slice(from, from + 5_000).map((hash) => documents.set(hash, '{ a }')));
    await redis.ping();
    const shared = await redis.exists(...hashes.map((hash) => `mplp:document:${hash}`));
    expect(shared).toBe(hashes.filter((hash) => documents.peek(hash) !== undefined).length);
    expect(shared).toBe(5_000);
    expect(await redis.exists(`mplp:document:${sha(kept)}`)).toBe(1);
  });

  it('that are longer than any that could be run are not kept', async () => {
    const documents = createPersistedDocuments(redis);
    for (const [length, isKept] of [
      [65_536, true],
      [65_537, false],
    ] as const) {
      const text = `{ a } #${crypto.randomUUID()}`.padEnd(length, 'x');
      await documents.set(sha(text), text);
      expect([documents.peek(sha(text)) !== undefined, await redis.exists(`mplp:document:${sha(text)}`)]).toEqual([
        isKept,
        isKept ? 1 : 0,
      ]);
    }
  });

  it('stay with each instance while Redis is gone', async () => {
    const gone = new Redis('redis://127.0.0.1:1', {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    gone.on('error', () => {});
    const documents = createPersistedDocuments(gone);
    const text = document();
    await documents.set(sha(text), text);
    expect([await documents.get(sha(text)), await documents.get(sha('other'))]).toEqual([text, undefined]);
    gone.disconnect();
  });
});

describe('trusted documents', () => {
  const text = 'query Me { me { subject } }';
  let folder: string;
  const written = async (content: unknown) => {
    const file = join(folder, `${crypto.randomUUID()}.json`);
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mplp-documents-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ['a map', { me: text }],
    [
      'a manifest',
      {
        format: 'apollo-persisted-query-manifest',
        version: 1,
        operations: [{ id: 'me', body: text, name: 'Me', type: 'query' }],
      },
    ],
  ])('are found in %s by id and by hash', async (_, content) => {
    const trusted = await readTrustedDocuments(await written(content));
    for (const id of ['me', sha(text), `sha256:${sha(text)}`]) expect(trusted.find(id)).toBe(text);
    expect([trusted.find('other'), trusted.find('constructor'), trusted.has(text), trusted.has('{ a }')]).toEqual([
      undefined,
      undefined,
      true,
      false,
    ]);
    expect(await withTrusted(createPersistedDocuments(null), trusted).get(sha(text))).toBe(text);
  });

  it.each([[[]], [{ me: 1 }], ['nothing'], [{ format: 'other', version: 1, operations: [] }]])(
    'in a file of another form are none: %j',
    async (content) => {
      await expect(readTrustedDocuments(await written(JSON.stringify(content)))).rejects.toThrow(
        /holds no trusted documents/,
      );
    },
  );

  it('take the place of their id in a request, and nothing else does', async () => {
    const trusted = await readTrustedDocuments(await written({ me: text }));
    const persistedQuery = { version: 1, sha256Hash: sha(text) };
    expect(resolveTrusted({ documentId: 'me', variables: { a: 1 } }, trusted)).toEqual({
      query: text,
      variables: { a: 1 },
    });
    expect(resolveTrusted({ extensions: { persistedQuery } }, trusted)).toEqual({ query: text });
    expect(resolveTrusted({ extensions: { persistedQuery, other: 1 } }, trusted)).toEqual({
      query: text,
      extensions: { other: 1 },
    });
    for (const body of [null, 'x', [1], { query: '{ a }' }, { query: text, extensions: { persistedQuery } }])
      expect(resolveTrusted(body, trusted)).toBe(body);
    expect(() => resolveTrusted({ documentId: 'other' }, trusted)).toThrow(/documentId/);
    expect(() => resolveTrusted({ documentId: 7 }, noTrustedDocuments)).toThrow(/documentId/);
    expect(() => resolveTrusted({ documentId: 'me', query: '{ a }' }, trusted)).toThrow(/both/);
  });
});
