import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createSql, type Sql } from '#shared/sql.ts';
import { type HostedPlatform, hostPlatform, modes } from '../support/platform.ts';

interface Failure {
  readonly message: string;
  readonly extensions: { readonly code: string; readonly correlationId?: string; readonly reference?: string };
}

const parseable = '{ contexts(first: 1) { nodes { id } } }';
const unknownField = '{ nothing }';
const missing = 'query ($id: ID!) { context(contextId: $id) { id } }';
const updates = 'subscription ($id: ID!) { contextUpdates(contextId: $id) { sequence } }';
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe.each(modes)('errors name their request, %s', (mode) => {
  let platform: HostedPlatform;
  let sql: Sql;
  let token: string;
  beforeAll(async () => {
    platform = await hostPlatform({ mode });
    sql = createSql(platform.databaseUrl, { applicationName: 'correlation', max: 1 });
    token = await platform.token({ tenant: 'acme', subject: 'ann' });
  });
  afterAll(async () => {
    await sql.end();
    await platform.close();
  });

  async function post(body: unknown, headers: Record<string, string> = {}, path = '/graphql') {
    const response = await fetch(`${platform.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { response, text, told: response.headers.get('x-correlation-id') };
  }
  const errorsOf = (text: string) => (JSON.parse(text) as { errors: Failure[] }).errors;

  /** With the table of contexts away every read of one fails as nobody foresaw. */
  async function whileBroken<T>(act: () => Promise<T>): Promise<T> {
    await sql`ALTER TABLE context.context RENAME COLUMN title TO title_gone`;
    try {
      return await act();
    } finally {
      await sql`ALTER TABLE context.context RENAME COLUMN title_gone TO title`;
    }
  }

  it('answers without errors tell nothing that was not asked for', async () => {
    const { text, told } = await post({ query: parseable });
    expect(told).toBeNull();
    expect(text).not.toContain('correlationId');
    expect((await post({ query: parseable }, { 'x-correlation-id': 'mine.1' })).told).toBe('mine.1');
  });

  it.each([
    ['of validation', { query: unknownField }, 'GRAPHQL_VALIDATION_FAILED'],
    ['of syntax', { query: '{' }, 'GRAPHQL_PARSE_FAILED'],
    ['of variables', { query: missing, variables: {} }, 'BAD_USER_INPUT'],
    ['of a resolver', { query: '{ contexts(first: 1, after: "none") { nodes { id } } }' }, 'CURSOR_INVALID'],
    ['of a request without a document', {}, 'BAD_REQUEST'],
    ['of a body that is no JSON', '{', 'BAD_REQUEST'],
    [
      'of a subscription sent as a query',
      { query: updates, variables: { id: 'x' } },
      'SUBSCRIPTION_TRANSPORT_REQUIRED',
    ],
  ])('%s: over HTTP as in the header', async (_name, body, code) => {
    for (const headers of [{}, { 'x-correlation-id': 'mine.2' }] as Record<string, string>[]) {
      const { text, told } = await post(body, headers);
      const errors = errorsOf(text);
      expect(errors.length, text).toBeGreaterThan(0);
      expect(errors[0]!.extensions.code).toBe(code);
      expect(told).toMatch('x-correlation-id' in headers ? /^mine\.2$/ : uuid);
      for (const { extensions } of errors) expect(extensions.correlationId).toBe(told);
    }
  });

  it('what the door refuses before there is a caller, too; an id that may not stand in a log is not taken over', async () => {
    const refused = await post({ query: parseable }, { authorization: 'Bearer none', 'x-correlation-id': 'mine.3' });
    expect([refused.response.status, refused.told]).toEqual([401, 'mine.3']);
    expect(errorsOf(refused.text)[0]!.extensions.correlationId).toBe('mine.3');
    const elsewhere = await post({}, { 'x-correlation-id': 'no id of "mine"' }, '/elsewhere');
    expect([elsewhere.response.status, errorsOf(elsewhere.text)[0]!.extensions.code]).toEqual([404, 'NOT_ROUTED']);
    expect(elsewhere.told).toMatch(uuid);
    expect(errorsOf(elsewhere.text)[0]!.extensions.correlationId).toBe(elsewhere.told);
  });

  it('a failure that is masked is found in the log by it, over HTTP, a stream and a socket', async () => {
    const client = createClient({
      url: `${platform.url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: class extends WebSocket {
        constructor(address: string, protocols: string | string[]) {
          super(address, protocols, { headers: { 'x-correlation-id': 'socket.1' } });
        }
      },
      retryAttempts: 0,
      connectionParams: { authorization: `Bearer ${token}` },
    });
    const document = { query: 'query Titles { contexts(first: 3) { nodes { title } } }' };
    const [posted, streamed, sent] = await whileBroken(async () => {
      const overHttp = await post(document);
      const overSse = await post(document, { accept: 'text/event-stream', 'x-correlation-id': 'stream.1' });
      const overSocket: unknown[] = [];
      for await (const result of client.iterate(document)) overSocket.push(result);
      return [overHttp, overSse, overSocket] as const;
    });
    await client.dispose();
    const failed = [
      [errorsOf(posted.text), posted.told],
      [errorsOf(/data: (\{"errors".*\})/.exec(streamed.text)![1]!), 'stream.1'],
      [(sent[0] as { errors: Failure[] }).errors, 'socket.1'],
    ] as const;
    expect(streamed.told).toBe('stream.1');
    for (const [[error], id] of failed) {
      expect(error!.extensions).toMatchObject({ code: 'INTERNAL_ERROR', correlationId: id });
      const lines = platform
        .output()
        .split('\n')
        .filter((line) => line.includes(`"correlationId":"${id}"`));
      expect(lines.filter((line) => line.includes(error!.extensions.reference!))).toHaveLength(1);
      // The process whose resolver failed says so beside the gateway.
      expect(lines.length).toBeGreaterThanOrEqual(mode === 'distributed' ? 2 : 1);
    }
  });

  it('refused subscriptions name theirs over a stream and a socket, each its own', async () => {
    const body = { query: updates, variables: { id: crypto.randomUUID() } };
    const stream = await post(body, { accept: 'text/event-stream', 'x-correlation-id': 'stream.2' });
    expect(stream.told).toBe('stream.2');
    expect(errorsOf(/data: (\{"errors".*\})/.exec(stream.text)![1]!)[0]!.extensions.correlationId).toBe('stream.2');
    const unknown = await post({ query: 'subscription { nothing }' }, { accept: 'text/event-stream' });
    expect(unknown.told).toMatch(uuid);
    expect(unknown.text).toContain(`"correlationId":"${unknown.told}"`);
    const strange = await post(body, { accept: 'text/event-stream', authorization: 'Bearer none' });
    expect(strange.response.status).toBe(401);
    expect(errorsOf(strange.text)[0]!.extensions.correlationId).toBe(strange.told);

    const client = createClient({
      url: `${platform.url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      lazy: false,
      connectionParams: { authorization: `Bearer ${token}` },
    });
    const failure = (payload: { query: string; variables?: Record<string, unknown> }) =>
      new Promise<Failure[]>((resolve, reject) => {
        client.subscribe(payload, {
          next: ({ errors }) => resolve(errors as unknown as Failure[]),
          error: (errors) => resolve(errors as Failure[]),
          complete: () => reject(new Error('it ended without an error')),
        });
      });
    const told = [
      await failure(body),
      await failure({ query: 'subscription { nothing }' }),
      await failure({ query: unknownField }),
    ].map((errors) => errors[0]!.extensions.correlationId);
    await client.dispose();
    expect(new Set(told).size).toBe(3);
    for (const id of told) expect(id).toMatch(uuid);
  });
});
