import { once } from 'node:events';
import pg from 'pg';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startPlatform } from '../support/platform.ts';

const create = (title: string) =>
  `mutation { createContext(input: { title: "${title}", root: { domain: "drain", environment: "e" } }) { context { id } userErrors { code } } }`;

it('drains at SIGTERM: readiness goes, sockets are told, running mutations are finished, nothing is left open', async () => {
  await using platform = await startPlatform();
  const answer = await platform.query<{ createContext: { context: { id: string } } }>(create('watched'));
  const id = answer.data!.createContext.context.id;
  const socket = new WebSocket(`${platform.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws');
  const types: string[] = [];
  socket.on('message', (data) => types.push((JSON.parse(String(data)) as { type: string }).type));
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init' }));
  await expect.poll(() => types).toContain('connection_ack');
  socket.send(
    JSON.stringify({
      id: '1',
      type: 'subscribe',
      payload: { query: 'subscription ($id: ID!) { contextUpdates(contextId: $id) { type } }', variables: { id } },
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, 300));

  const running = Array.from({ length: 40 }, (_, index) =>
    platform.query<{ createContext: { context: { id: string } | null } }>(create(`d${index}`)).catch(() => null),
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  const closed = once(socket, 'close');
  const exited = once(platform.gateway, 'exit');
  platform.gateway.kill('SIGTERM');
  const answers = await Promise.all(running);
  const [code] = (await closed) as [number];
  expect(code).toBe(1001);
  expect(await exited).toEqual([0, null]);

  // Whoever got an answer has what it says; whoever was turned away may or may not.
  const client = new pg.Client({ connectionString: platform.databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ id: string }>("SELECT id FROM context.context WHERE domain = 'drain'");
  const stored = new Set(rows.map((row) => row.id));
  const acknowledged = answers.flatMap((entry) => entry?.data?.createContext.context?.id ?? []);
  for (const contextId of acknowledged) expect(stored).toContain(contextId);
  const { rows: open } = await client.query(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'mplp%'",
  );
  expect(open).toEqual([]);
  await client.end();
});
