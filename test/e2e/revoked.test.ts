import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { hostPlatform, modes, type Platform } from '../support/platform.ts';

type Json = Record<string, unknown>;
const tenant = 'revoked';

/** One socket with any number of operations; what each got and when it ended. */
function openSocket(url: string, token: string) {
  let closed = false;
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => {},
    connectionParams: { authorization: `Bearer ${token}` },
    on: { closed: () => (closed = true) },
  });
  return {
    isClosed: () => closed,
    follow(query: string, variables: Json) {
      const got: Json[] = [];
      const ended = Promise.withResolvers<{ readonly codes: readonly unknown[]; readonly atMs: number }>();
      const end = (codes: readonly unknown[]) => ended.resolve({ codes, atMs: Date.now() });
      client.subscribe<Json>(
        { query, variables },
        {
          next: ({ data }) => void (data && got.push(data)),
          error: (error) =>
            end(Array.isArray(error) ? error.map(({ extensions }) => extensions?.code) : [String(error)]),
          complete: () => end([]),
        },
      );
      return { got, ended: ended.promise };
    },
    close: () => client.dispose(),
  };
}

describe.each(modes)('a subscription whose right is revoked, %s', (mode) => {
  let platform: Platform;
  let other: Platform;
  const tokens = new Map<string, string>();
  beforeAll(async () => {
    platform = await hostPlatform({ mode });
    // Another instance over the same database; Redis is away, so that it hears of changes by the event tables.
    other = await hostPlatform({ databaseUrl: platform.databaseUrl });
    tokens.set('boss', await platform.token({ tenant, subject: 'boss', roles: ['admin'] }));
  }, 120_000);
  afterAll(async () => {
    await other?.close();
    await platform?.close();
  });

  async function done(document: string, variables: Json): Promise<Json> {
    const { data, errors } = await platform.query(document, variables, { token: tokens.get('boss')! });
    expect(errors, document).toEqual([]);
    const payload = Object.values(data!)[0] as Json;
    expect(payload['userErrors'], document).toEqual([]);
    return payload;
  }
  const idOf = (value: unknown) => (value as { id: string }).id;
  const create = async () =>
    idOf(
      (
        await done(
          'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }',
          { input: { title: 'followed', root: { domain: 'd', environment: 'e' } } },
        )
      )['context'],
    );
  const rename = (id: string, title: string) =>
    done(
      'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { userErrors { code } } }',
      { id, title },
    );
  const role = async (name: string, effect: 'ALLOW' | 'DENY') =>
    idOf(
      (
        await done(
          'mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code } } }',
          { input: { name, permissions: [{ resourceType: 'context', actions: ['read'], effect }] } },
        )
      )['role'],
    );
  const assign = async (input: Json) =>
    idOf(
      (
        await done(
          'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } userErrors { code } } }',
          { input },
        )
      )['assignment'],
    );
  const revoke = (id: string) =>
    done('mutation ($id: ID!) { revokeRole(assignmentId: $id) { assignment { id } userErrors { code } } }', { id });

  /** On the instance that revokes and on another. Each has minted its own keys. */
  const instances = () => [platform, other];
  const query = 'subscription ($id: ID!) { contextUpdates(contextId: $id) { sequence context { title } } }';
  const titles = ({ got }: { readonly got: readonly Json[] }) =>
    got.map((data) => (data['contextUpdates'] as { context: { title: string } }).context.title);
  /** The other instance hears of an assignment a moment later. */
  async function untilReadable(instance: Platform, ids: readonly string[]): Promise<void> {
    const token = await instance.token({ tenant, subject: 'fay', roles: [] });
    const read = (id: string) =>
      instance.query('query ($id: ID!) { context(contextId: $id) { id } }', { id }, { token });
    for (const untilMs = Date.now() + 30_000; Date.now() < untilMs; )
      if ((await Promise.all(ids.map(read))).every(({ errors }) => errors.length === 0)) return;
    expect.fail('the rights are not known');
  }
  /** The gateway has rights in memory of its own, which hear of an assignment later than those of a subgraph may. */
  async function followOnceLetIn(socket: ReturnType<typeof openSocket>, id: string) {
    for (const untilMs = Date.now() + 30_000; Date.now() < untilMs; ) {
      const followed = socket.follow(query, { id });
      const refused = await Promise.race([
        followed.ended,
        new Promise<null>((resolve) => setTimeout(resolve, 500, null)),
      ]);
      if (refused === null) return followed;
    }
    return expect.fail('the rights are not known to the gateway');
  }
  async function until(isReached: () => boolean): Promise<void> {
    for (const untilMs = Date.now() + 10_000; !isReached() && Date.now() < untilMs; )
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isReached()).toBe(true);
  }

  it('ends within a second on every instance, the socket stays open, others go on', async () => {
    const [contextId, elsewhere] = [await create(), await create()];
    const assignmentId = await assign({ roleId: await role('follower', 'ALLOW'), subjectId: 'fay', contextId });
    await assign({ roleId: await role('reader', 'ALLOW'), subjectId: 'fay', contextId: elsewhere });
    const opened = await Promise.all(
      instances().map(async (instance) => {
        await untilReadable(instance, [contextId, elsewhere]);
        const faySocket = openSocket(instance.url, await instance.token({ tenant, subject: 'fay', roles: [] }));
        const gusSocket = openSocket(instance.url, await instance.token({ tenant, subject: 'gus' }));
        const kept = await followOnceLetIn(faySocket, elsewhere);
        return {
          faySocket,
          gusSocket,
          kept,
          fay: await followOnceLetIn(faySocket, contextId),
          gus: gusSocket.follow(query, { id: contextId }),
        };
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await rename(contextId, 'before');
    await until(() => opened.every(({ fay, gus }) => fay.got.length === 1 && gus.got.length === 1));
    await revoke(assignmentId);
    const revokedMs = Date.now();
    for (const { fay, faySocket } of opened) {
      const { codes, atMs } = await fay.ended;
      expect(codes).toEqual(['PERMISSION_DENIED']);
      expect(atMs - revokedMs).toBeLessThan(1_000);
      expect(faySocket.isClosed()).toBe(false);
    }
    await rename(contextId, 'after');
    await rename(elsewhere, 'kept');
    await until(() => opened.every(({ gus, kept }) => gus.got.length === 2 && kept.got.length === 1));
    for (const { fay, gus, kept, faySocket, gusSocket } of opened) {
      expect([titles(fay), titles(gus), titles(kept)]).toEqual([['before'], ['before', 'after'], ['kept']]);
      await faySocket.close();
      await gusSocket.close();
    }
  });

  it('takes one that is denied out of those it shared the results with; one whose rights change otherwise stays, missing nothing', async () => {
    const contextId = await create();
    const [denial, harmless] = [await role('gagged', 'DENY'), await role('harmless', 'ALLOW')];
    const sockets = await Promise.all(
      ['hal', 'ida', 'jon'].map(async (subject) => openSocket(other.url, await other.token({ tenant, subject }))),
    );
    // Equal tokens: one group.
    const [hal, ida, jon] = sockets.map((socket) => socket.follow(query, { id: contextId })) as [
      ReturnType<(typeof sockets)[number]['follow']>,
      ReturnType<(typeof sockets)[number]['follow']>,
      ReturnType<(typeof sockets)[number]['follow']>,
    ];
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await rename(contextId, '0');
    await until(() => [hal, ida, jon].every(({ got }) => got.length === 1));
    const renaming = (async () => {
      for (let at = 1; at <= 20; at++) await rename(contextId, String(at));
    })();
    await assign({ roleId: harmless, subjectId: 'ida' });
    await assign({ roleId: denial, subjectId: 'hal', contextId });
    expect((await hal.ended).codes).toEqual(['PERMISSION_DENIED']);
    await renaming;
    const all = Array.from({ length: 21 }, (_, at) => String(at));
    await until(() => [ida, jon].every(({ got }) => got.length >= 21));
    expect([titles(ida), titles(jon)]).toEqual([all, all]);
    expect(titles(hal)).toEqual(all.slice(0, hal.got.length));
    await Promise.all(sockets.map((socket) => socket.close()));
  });

  it('does not begin without the right, whatever module feeds it', async () => {
    const id = await create();
    const bare = openSocket(platform.url, await platform.token({ tenant, subject: 'bare', roles: [] }));
    for (const field of [
      'contextUpdates(contextId: $id)',
      'taskProgressUpdates(planId: $id)',
      'planExecutionUpdates(executionId: $id)',
      'approvalUpdates(confirmId: $id)',
      'traceUpdates(traceId: $id)',
      'messageReceived(dialogId: $id)',
      'roleAssignments(subjectId: $id)',
    ]) {
      const { ended } = bare.follow(`subscription ($id: ID!) { ${field} { __typename } }`, { id });
      expect([field, (await ended).codes]).toEqual([field, ['PERMISSION_DENIED']]);
    }
    expect(bare.isClosed()).toBe(false);
    await bare.close();
  });
});
