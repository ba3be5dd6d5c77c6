import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const createContext = `mutation ($title: String!) {
  createContext(input: { title: $title, root: { domain: "test", environment: "ci" } }) { context { id title status version } userErrors { code message path } }
}`;

describe.each(modes)('%s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(async () => {
    await platform.close();
  });

  async function create(title: string, token?: string): Promise<string> {
    const answer = await platform.query<{ createContext: { context: { id: string } } }>(
      createContext,
      { title },
      token === undefined ? {} : { token },
    );
    expect(answer.errors).toEqual([]);
    return answer.data!.createContext.context.id;
  }

  it('answers health, metrics and the IDE page', async () => {
    expect((await fetch(`${platform.url}/live`)).status).toBe(200);
    const ready = await fetch(`${platform.url}/ready`);
    expect([ready.status, ((await ready.json()) as { ready: boolean }).ready]).toEqual([200, true]);
    const metrics = await (await fetch(`${platform.url}/metrics`)).text();
    for (const name of [
      'api_response_time',
      'requests_per_second',
      'error_rate',
      'cpu_usage_percent',
      'memory_usage_bytes',
    ])
      expect(metrics).toContain(name);
    const page = await (await fetch(`${platform.url}/ide`)).text();
    expect(page).toContain('ruru');
    expect(page).not.toMatch(/https?:\/\/(unpkg|cdn|esm)/);
  });

  it('creates, reads and changes a context', async () => {
    const id = await create('First');
    const read = await platform.query(
      'query ($id: ID!) { context(contextId: $id) { id title status version createdBy document } }',
      { id },
    );
    expect(read.data).toMatchObject({
      context: {
        id,
        title: 'First',
        status: 'ACTIVE',
        version: 1,
        createdBy: 'demo',
        document: { context_id: id, status: 'active' },
      },
    });
    const changed = await platform.query(
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { title: "Second" }, expectedVersion: 1) { context { title version } userErrors { code } } }',
      { id },
    );
    expect(changed.data).toEqual({ updateContext: { context: { title: 'Second', version: 2 }, userErrors: [] } });
    expect(changed.extensions['consistencyToken']).toEqual(expect.any(String));
    const again = await platform.query(
      'query ($id: ID!) { context(contextId: $id) { id title status version createdBy document } }',
      { id },
    );
    expect(again.data).toMatchObject({ context: { title: 'Second', version: 2 } });
  });

  it('never serves a stale answer to the writer', async () => {
    const id = await create('v0');
    const read = 'query ($id: ID!) { context(contextId: $id) { title } }';
    for (let round = 1; round <= 20; round += 1) {
      for (let warm = 0; warm < 3; warm += 1) await platform.query(read, { id });
      await platform.query(
        'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { userErrors { code } } }',
        { id, title: `v${round}` },
      );
      expect((await platform.query(read, { id })).data).toEqual({ context: { title: `v${round}` } });
    }
  });

  it('repeats a call with the same idempotency key without repeating its effect', async () => {
    const document =
      'mutation ($title: String!) { createContext(input: { title: $title, root: { domain: "d", environment: "e" }, idempotencyKey: "once" }) { context { id } userErrors { code path } } }';
    const [first, second] = await Promise.all([
      platform.query(document, { title: 'Same' }),
      platform.query(document, { title: 'Same' }),
    ]);
    expect(first.data).toEqual(second.data);
    const other = await platform.query(document, { title: 'Other' });
    expect(other.data).toMatchObject({
      createContext: { context: null, userErrors: [{ code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] }] },
    });
  });

  it('keeps tenants apart', async () => {
    const [a, b] = await Promise.all([
      platform.token({ tenant: 'tenant-a', subject: 'ann' }),
      platform.token({ tenant: 'tenant-b', subject: 'bob' }),
    ]);
    const id = await create('Secret of A', a);
    const foreign = await platform.query('query ($id: ID!) { context(contextId: $id) { id } }', { id }, { token: b });
    expect(foreign.data).toEqual({ context: null });
    const write = await platform.query(
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { title: "Mine" }) { context { id } userErrors { code } } }',
      { id },
      { token: b },
    );
    expect(write.data).toEqual({ updateContext: { context: null, userErrors: [{ code: 'NOT_FOUND' }] } });
  });

  it('refuses who lacks the permission, and who has no valid token', async () => {
    const viewer = await platform.token({ tenant: 'demo', subject: 'viv', roles: ['viewer'] });
    const denied = await platform.query(createContext, { title: 'No' }, { token: viewer });
    expect(denied.errors[0]!.extensions.code).toBe('PERMISSION_DENIED');
    const forged = await platform.query('{ me { subject } }', {}, { token: `${viewer}x` });
    expect([forged.status, forged.errors[0]!.extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
  });

  it('answers malformed requests with typed JSON errors', async () => {
    const post = (body: string, headers: Record<string, string> = {}) =>
      fetch(`${platform.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
    const codeOf = async (response: Response) => [
      response.status,
      ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code,
    ];
    expect(await codeOf(await post('{"query":"{ me { subj'))).toEqual([400, 'BAD_REQUEST']);
    expect(await codeOf(await post(JSON.stringify({ query: '{ me { subject } ' })))).toEqual([
      400,
      'GRAPHQL_PARSE_FAILED',
    ]);
    expect(await codeOf(await post(JSON.stringify({ query: '{ nothing }' })))).toEqual([
      400,
      'GRAPHQL_VALIDATION_FAILED',
    ]);
    expect(
      await codeOf(await post(JSON.stringify({ query: '{ me { subject } }', padding: 'x'.repeat(1_048_576) }))),
    ).toEqual([413, 'BODY_TOO_LARGE']);
    expect(await codeOf(await post(JSON.stringify({ query: '{'.repeat(3_000) })))).toEqual([
      400,
      'GRAPHQL_PARSE_FAILED',
    ]);
    expect(
      await codeOf(await post(JSON.stringify({ query: 'subscription { contextUpdates(contextId: "x") { type } }' }))),
    ).toEqual([400, 'SUBSCRIPTION_TRANSPORT_REQUIRED']);
    expect(await codeOf(await fetch(`${platform.url}/nowhere`))).toEqual([404, 'NOT_ROUTED']);
  });
});
