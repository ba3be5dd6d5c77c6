import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GraphQLAnswer, hostPlatform, type Platform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

const deep = (levels: number): string =>
  levels === 0 ? 'id' : `dialogs(first: 1) { nodes { context { ${deep(levels - 1)} } } }`;
const documents = {
  me: 'query Me { me { subject } }',
  deep: `query Deep { contexts(first: 1) { nodes { ${deep(4)} } } }`,
  waiting: 'subscription Waiting { approvalsWaiting { cursor } }',
};

describe('a platform that runs trusted documents alone', () => {
  let platform: Platform;
  let folder: string;
  let token: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mplp-trusted-'));
    const file = join(folder, 'documents.json');
    await writeFile(file, JSON.stringify(documents));
    platform = await hostPlatform({ env: { TRUSTED_DOCUMENTS_FILE: file, TRUSTED_DOCUMENTS_ONLY: 'true' } });
    token = await platform.token({ tenant: 'trusted' });
  });
  afterAll(async () => {
    await platform?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const send = async (body: unknown): Promise<[number, unknown, unknown[]]> => {
    const response = await fetch(`${platform.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    const { data, errors } = (await response.json()) as Partial<GraphQLAnswer>;
    return [response.status, data ?? null, (errors ?? []).map((error) => error.extensions.code)];
  };

  it('runs them by id, by hash and by text', async () => {
    const sha256Hash = createHash('sha256').update(documents.me).digest('hex');
    for (const body of [
      { documentId: 'me' },
      { documentId: `sha256:${sha256Hash}` },
      { extensions: { persistedQuery: { version: 1, sha256Hash } } },
      { query: documents.me },
    ])
      expect(await send(body)).toEqual([200, { me: { subject: 'someone' } }, []]);
    // Nobody looks into the address of a GET before Apollo Server does.
    const extensions = JSON.stringify({ persistedQuery: { version: 1, sha256Hash } });
    const got = await fetch(`${platform.url}/graphql?${new URLSearchParams({ extensions })}`, {
      headers: { authorization: `Bearer ${token}`, 'apollo-require-preflight': 'yes' },
    });
    expect([got.status, await got.json()]).toMatchObject([200, { data: { me: { subject: 'someone' } } }]);
  });

  it('runs them over the limits of documents', async () => {
    expect(await send({ documentId: 'deep' })).toEqual([200, { contexts: { nodes: [] } }, []]);
  });

  it('runs nothing else, however it comes, also when it comes again', async () => {
    const other = '{ me { subject tenantId } }';
    for (const query of [other, other, `${documents.me} `, '{ __schema { types { name } } }'])
      expect(await send({ query })).toEqual([403, null, ['DOCUMENT_NOT_TRUSTED']]);
    const sha256Hash = createHash('sha256').update(other).digest('hex');
    const persistedQuery = { version: 1, sha256Hash };
    expect((await send({ query: other, extensions: { persistedQuery } }))[2]).toEqual(['DOCUMENT_NOT_TRUSTED']);
    expect((await send({ extensions: { persistedQuery } }))[2]).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect(await send({ documentId: 'other' })).toEqual([200, null, ['PERSISTED_QUERY_NOT_FOUND']]);
  });

  it('takes spans by OTLP, whose document is its own', async () => {
    const response = await fetch(`${platform.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: '{"resourceSpans":[]}',
    });
    expect([response.status, await response.json()]).toEqual([200, {}]);
  });

  it('keeps to them on a socket', async () => {
    const trusted = subscribe({ url: platform.url, query: documents.waiting, token });
    const other = subscribe({ url: platform.url, query: 'subscription { approvalsWaiting { sequence } }', token });
    await expect.poll(() => JSON.stringify(other.errors), { timeout: 10_000 }).toContain('DOCUMENT_NOT_TRUSTED');
    expect(trusted.errors).toEqual([]);
    await Promise.all([trusted.close(), other.close()]);
  });
});
