import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { launchProcess } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

interface Update {
  readonly contextUpdates: { readonly cursor: string; readonly sequence: number; readonly changes: { title?: string } };
}
interface Answer {
  readonly data?: Record<string, Record<string, unknown> | null> | null;
  readonly errors?: readonly { readonly path?: readonly string[]; readonly extensions: Record<string, unknown> }[];
}

const updates =
  'subscription ($id: ID!, $after: String) { contextUpdates(contextId: $id, after: $after) { cursor sequence changes } }';
const rename =
  'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { context { title } userErrors { code } } }';

it('a subgraph dies and comes back: typed errors meanwhile, the rest serves on, subscriptions lose nothing', async () => {
  await using own = new AsyncDisposableStack();
  const database = own.use(await createTestDatabase('partitioned'));
  const dataDir = await mkdtemp(join(tmpdir(), 'mplp-outage-'));
  own.defer(() => rm(dataDir, { recursive: true, force: true }));
  const [contextPort, gatewayPort] = [await freePort(), await freePort()];
  let output = '';
  const launch = (script: string, env: Readonly<Record<string, string>>, pattern: RegExp) => {
    const launched = launchProcess(
      script,
      { DATA_DIR: dataDir, DATABASE_URL: database.url, LOG_LEVEL: 'warn', DATABASE_POOL: '4', CACHE: 'off', ...env },
      pattern,
      (text) => {
        output += text;
      },
    );
    own.defer(async () => {
      if (launched.child.exitCode !== null || launched.child.signalCode !== null) return;
      const exited = once(launched.child, 'exit');
      launched.child.kill('SIGKILL');
      await exited;
    });
    return launched;
  };
  const startSubgraph = async (name: string, port: number) => {
    const launched = launch(
      'subgraphs/main.ts',
      { SUBGRAPHS: name, SUBGRAPH_PORT: String(port), GATEWAY_URL: `http://127.0.0.1:${gatewayPort}/graphql` },
      /^(\w+=http\S+)$/m,
    );
    return { child: launched.child, url: await launched.ready };
  };
  const [context, dialog, plan, platform] = await Promise.all([
    startSubgraph('context', contextPort),
    startSubgraph('dialog', 0),
    startSubgraph('plan', 0),
    startSubgraph('platform', 0),
  ]);
  const gateway = launch(
    'gateway/main.ts',
    { PORT: String(gatewayPort), SUBGRAPH_URLS: [context.url, dialog.url, plan.url, platform.url].join(',') },
    /graph\s+(http\S+)\/graphql/,
  );
  const url = await gateway.ready;
  const ask = async (query: string, variables: object = {}): Promise<Answer> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as Answer;
  };
  // A process of its own is scraped at its own port, where it reads no more of a stranger's than the gateway does.
  const subgraph = context.url.replace('context=', '');
  const scraped = await (await fetch(new URL('/metrics', subgraph))).text();
  expect(scraped).toMatch(/^mplp_cpu_percent \S+$/m);
  const posted = await fetch(subgraph, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"query": ${'x'.repeat(1_048_576)}`,
  });
  expect([posted.status, await posted.json()]).toMatchObject([
    413,
    { errors: [{ extensions: { code: 'BODY_TOO_LARGE' } }] },
  ]);
  const created = await ask(
    'mutation { createContext(input: { title: "start", root: { domain: "d", environment: "e" } }) { context { id } } }',
  );
  const id = (created.data!['createContext']!['context'] as { id: string }).id;
  const follow = (after: string | null) => subscribe<Update>({ url, query: updates, variables: { id, after } });
  const titles = (payloads: readonly Update[]) => payloads.map(({ contextUpdates }) => contextUpdates.changes.title);

  const watching = follow(null);
  own.defer(() => watching.close());
  // Until the subscription is there, changes pass it by.
  let probes = 0;
  while (watching.payloads.length === 0) await ask(rename, { id, title: `probe${probes++}` });
  await ask(rename, { id, title: 'before' });
  await watching.until((payloads) => titles(payloads).includes('before'));

  const died = once(context.child, 'exit');
  context.child.kill('SIGKILL');
  await died;
  for (const [query, variables] of [
    ['query ($id: ID!) { context(contextId: $id) { title } me { subject } }', { id }],
    ['mutation ($id: ID!) { updateContext(contextId: $id, patch: { title: "lost" }) { context { title } } }', { id }],
  ] as const) {
    const answer = await ask(query, variables);
    expect(answer.errors!.map(({ extensions }) => extensions)).toEqual([
      { code: 'UNAVAILABLE', category: 'server', retryable: true, correlationId: expect.any(String) },
    ]);
    // What other subgraphs know is answered beside it.
    if (query.startsWith('query')) expect(answer.data).toEqual({ context: null, me: { subject: 'demo' } });
    expect(JSON.stringify(answer)).not.toMatch(/127\.0\.0\.1|ECONN|undici/);
  }
  expect(watching.errors).toEqual([]);

  await startSubgraph('context', contextPort);
  expect(await ask(rename, { id, title: 'after' })).toMatchObject({
    data: { updateContext: { context: { title: 'after' }, userErrors: [] } },
  });
  await watching.until((payloads) => titles(payloads).includes('after'));
  expect(titles(watching.payloads).slice(-2)).toEqual(['before', 'after']);
  const resumed = follow(watching.payloads[0]!.contextUpdates.cursor);
  own.defer(() => resumed.close());
  await resumed.until((payloads) => titles(payloads).includes('after'));
  expect(resumed.payloads).toEqual(watching.payloads.slice(1));
  const sequences = watching.payloads.map(({ contextUpdates }) => contextUpdates.sequence);
  expect(sequences).toEqual(sequences.map((_, index) => sequences[0]! + index));

  // Whether plans are carried out in a context nobody can tell while their module is away.
  const planDied = once(plan.child, 'exit');
  plan.child.kill('SIGKILL');
  await planDied;
  const remove =
    'mutation ($id: ID!, $force: Boolean!) { deleteContext(contextId: $id, force: $force) { deleted userErrors { code } } }';
  const refused = await ask(remove, { id, force: false });
  expect(refused.errors!.map(({ extensions }) => extensions)).toMatchObject([{ code: 'UNAVAILABLE', retryable: true }]);
  expect(await ask('query ($id: ID!) { context(contextId: $id) { title } }', { id })).toMatchObject({
    data: { context: { title: 'after' } },
  });
  expect((await ask(remove, { id, force: true })).data).toEqual({ deleteContext: { deleted: true, userErrors: [] } });
  expect(output).not.toContain('unexpected failure');
}, 240_000);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
