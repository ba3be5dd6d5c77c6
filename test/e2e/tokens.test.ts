import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type HostedPlatform, hostPlatform, modes, type Platform } from '../support/platform.ts';

type Json = Record<string, unknown>;
const tenant = 'tokens';
/** What the spec allows from a revocation to its being in force everywhere, ms; a loaded machine gets as much again. */
const everywhereMs = 2_000;

/** A socket that follows a context; the code it was closed with, and when. */
function openSocket(url: string, token: string, contextId: string) {
  const closed = Promise.withResolvers<{ readonly code: number; readonly reason: string }>();
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => {},
    connectionParams: { authorization: `Bearer ${token}` },
    on: { closed: (event) => closed.resolve(event as { code: number; reason: string }) },
  });
  const got: unknown[] = [];
  const run = (query: string, variables: Json) =>
    new Promise<unknown>((resolve) => {
      client.subscribe(
        { query, variables },
        { next: (value) => void got.push(value), error: resolve, complete: () => resolve(null) },
      );
    });
  void run('subscription ($id: ID!) { contextUpdates(contextId: $id) { sequence } }', { id: contextId });
  return { closed: closed.promise, got, dispose: () => void client.dispose() };
}

describe.each(modes)('tokens that end before their time, %s', (mode) => {
  let platform: HostedPlatform;
  let other: Platform;
  let boss: string;
  beforeAll(async () => {
    platform = await hostPlatform({ mode });
    // Another instance over the same database; Redis is away, so that it hears of revocations by the event tables.
    other = await hostPlatform({ databaseUrl: platform.databaseUrl, dataDir: platform.dataDir });
    boss = await platform.token({ tenant, subject: 'boss', roles: ['admin'] });
  }, 120_000);
  afterAll(async () => {
    await other?.close();
    await platform?.close();
  });

  async function done(document: string, variables: Json, token = boss): Promise<Json> {
    const { data, errors } = await platform.query(document, variables, { token });
    expect(errors, document).toEqual([]);
    const payload = Object.values(data!)[0] as Json;
    expect(payload['userErrors'], document).toEqual([]);
    return payload;
  }
  const issue = async (input: Json, token = boss) => {
    const payload = await done(
      'mutation ($input: IssueApiTokenInput!) { issueApiToken(input: $input) { token apiToken { id } userErrors { code message } } }',
      { input: { name: 'agent', ...input } },
      token,
    );
    return { id: (payload['apiToken'] as { id: string }).id, token: payload['token'] as string };
  };
  const createContext = async (token = boss) =>
    (
      (
        await done(
          'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code message } } }',
          { input: { title: 'seen', root: { domain: 'd', environment: 'e' } } },
          token,
        )
      )['context'] as { id: string }
    ).id;
  const me = async (where: Platform, token: string) => {
    const { status, data, errors } = await where.query('{ me { tenantId subject scopes } }', {}, { token });
    return { status, me: data?.['me'] ?? null, code: errors[0]?.extensions.code };
  };
  /** How long a token still counts on an instance. */
  const untilRefused = async (where: Platform, token: string): Promise<number> => {
    const from = Date.now();
    while ((await me(where, token)).code !== 'UNAUTHENTICATED') {
      if (Date.now() - from > 30_000) throw new Error('the token still counts');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return Date.now() - from;
  };

  it('an API token does what its scopes say, on every instance, and no more though a role grants it', async () => {
    const { token } = await issue({ subject: 'worker', scopes: ['context:read'] });
    for (const where of [platform, other])
      expect(await me(where, token)).toMatchObject({
        status: 200,
        me: { tenantId: tenant, subject: 'worker', scopes: ['context:read'] },
      });
    const role = (
      (await done(
        `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code message } } }`,
        {
          input: {
            name: 'makers',
            permissions: [{ resourceType: 'context', actions: ['create', 'read'] }],
          },
        },
      )) as { role: { id: string } }
    ).role.id;
    await done(
      'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } userErrors { code message } } }',
      { input: { roleId: role, subjectId: 'worker' } },
    );
    const make = async (by: string) =>
      (
        await platform.query(
          'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }',
          { input: { title: 'made', root: { domain: 'd', environment: 'e' } } },
          { token: by },
        )
      ).errors.map(({ extensions }) => extensions.code);
    const plain = await platform.token({ tenant, subject: 'worker', roles: [] });
    await expect.poll(() => make(plain), { timeout: 10_000 }).toEqual([]);
    expect(await make(token)).toEqual(['PERMISSION_DENIED']);
    const wider = await issue({ subject: 'worker', scopes: ['context:read', 'context:create'] });
    expect(await make(wider.token)).toEqual([]);
  }, 60_000);

  it('a revoked API token is refused everywhere, and its sockets are closed with 4403', async () => {
    const contextId = await createContext();
    const { id, token } = await issue({ scopes: ['context:read'] });
    const sockets = [platform, other].map(({ url }) => openSocket(url, token, contextId));
    for (const where of [platform, other]) expect((await me(where, token)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const at = Date.now();
    await done('mutation ($id: ID!) { revokeApiToken(id: $id) { apiToken { status } userErrors { code } } }', { id });
    await Promise.all([platform, other].map((where) => untilRefused(where, token)));
    for (const socket of sockets) expect(await socket.closed).toMatchObject({ code: 4403, reason: 'Token revoked' });
    expect(Date.now() - at).toBeLessThan(everywhereMs * 5);
    for (const socket of sockets) socket.dispose();
  }, 60_000);

  it('all tokens of a subject end, and those issued after go on', async () => {
    const contextId = await createContext();
    const old = await platform.token({ tenant, subject: 'eve', roles: ['member'] });
    const bystander = await platform.token({ tenant, subject: 'bob', roles: ['member'] });
    const socket = openSocket(other.url, old, contextId);
    for (const where of [platform, other]) expect((await me(where, old)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await done(
      'mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) { revocation { key } userErrors { code } } }',
      { input: { kind: 'SUBJECT', key: 'eve' } },
    );
    await Promise.all([platform, other].map((where) => untilRefused(where, old)));
    expect(await socket.closed).toMatchObject({ code: 4403 });
    socket.dispose();
    // A token says the second it was issued in.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const fresh = await platform.token({ tenant, subject: 'eve', roles: ['member'] });
    for (const where of [platform, other]) {
      expect(await me(where, fresh)).toMatchObject({ status: 200, me: { subject: 'eve' } });
      expect((await me(where, bystander)).status).toBe(200);
    }
    // A platform that starts later knows of it too.
    await using late = await hostPlatform({ databaseUrl: platform.databaseUrl, dataDir: platform.dataDir });
    const same = await late.token({ tenant, subject: 'eve', roles: ['member'] });
    expect((await me(late, same)).status).toBe(200);
    const [row] = await revokedKeys(boss);
    expect(row).toMatchObject({ kind: 'SUBJECT', key: 'eve' });
  }, 90_000);

  it('a logout ends the token it came with', async () => {
    const token = await platform.token({ tenant, subject: 'leaver', roles: ['member'] });
    const stays = await platform.token({ tenant, subject: 'leaver', roles: ['member'] });
    await done('mutation { logout { tokenId userErrors { code } } }', {}, token);
    await Promise.all([platform, other].map((where) => untilRefused(where, token)));
    for (const where of [platform, other]) expect((await me(where, stays)).status).toBe(200);
  }, 60_000);

  it('what needs a stepped-up authentication is refused to a token without, with a code that says so', async () => {
    const weak = await platform.token({ tenant, subject: 'boss', roles: ['admin'], acr: 'pwd' });
    const { status, errors } = await platform.query(
      'mutation { rotateEncryptionKey { userErrors { code } } }',
      {},
      { token: weak },
    );
    expect([status, errors[0]?.extensions.code]).toEqual([200, 'STEP_UP_REQUIRED']);
    await done('mutation { rotateEncryptionKey { userErrors { code } } }', {});
  });

  async function revokedKeys(token: string): Promise<readonly Json[]> {
    const { data } = await platform.query('{ revocations(first: 5) { nodes { kind key } } }', {}, { token });
    return (data!['revocations'] as { nodes: Json[] }).nodes.filter(({ kind }) => kind === 'SUBJECT');
  }
});
