// CPU of one fetch to a subgraph over HTTP in the gateway's process, and memory of compiled documents:
//   node --expose-gc perf/probes/httpDataSource.ts [fetches, default 10000]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type GraphQLDataSource, RemoteGraphQLDataSource } from '@apollo/gateway';
import { GraphQLDataSourceRequestKind } from '@apollo/gateway/dist/datasources/types.js';
import { buildSchema } from 'graphql';
import { createHttpDataSource } from '../../gateway/execution/http.ts';
import { createInProcessDataSource } from '../../gateway/execution/inProcess.ts';

const answer = JSON.stringify({
  data: {
    user: {
      __typename: 'User',
      id: '7',
      name: 'Ada',
      email: 'ada@example.org',
      role: 'ADMIN',
      createdAt: '2026-01-01T00:00:00.000Z',
    },
  },
});
const query = 'query One__users__0($id:ID!){user(id:$id){__typename id name email role createdAt}}';

if (process.send) serve(process.send.bind(process));
else await main();

/** The other side, in a process of its own so that its CPU is not counted. */
function serve(send: (port: number) => void): void {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(answer);
    });
  });
  server.listen(0, '127.0.0.1', () => send((server.address() as AddressInfo).port));
}

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? 10_000);
  const child = fork(fileURLToPath(import.meta.url));
  const [port] = (await once(child, 'message')) as [number];
  const url = `http://127.0.0.1:${port}/graphql`;
  const pooled = createHttpDataSource({
    name: 'users',
    url,
    timeoutMs: 5_000,
    headersFor: () => ({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }),
  });
  try {
    const rows: Record<string, object> = {};
    for (const concurrency of [1, 32]) {
      rows[`stock, ${concurrency} at once`] = await measure(new RemoteGraphQLDataSource({ url }), count, concurrency);
      rows[`pooled, ${concurrency} at once`] = await measure(pooled, count, concurrency);
    }
    console.info(`Node ${process.version}, ${count} fetches each; the subgraph is another process`);
    console.table(rows);
    await measureMemory();
  } finally {
    await pooled.close();
    child.kill();
  }
}

async function measure(source: GraphQLDataSource, count: number, concurrency: number) {
  const run = async (fetches: number) => {
    let left = fetches;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        const { data } = await source.process(fetchOptions(query, { id: '7' }));
        if (data?.['user']?.name !== 'Ada') throw new Error(`unexpected answer ${JSON.stringify(data)}`);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
  await run(Math.min(count, 2_000));
  const cpu = process.cpuUsage();
  const startedAtMs = performance.now();
  await run(count);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { 'CPU us/fetch': Math.round((user + system) / count), 'fetches/s': Math.round(count / seconds) };
}

function fetchOptions(text: string, variables: Record<string, unknown>): Parameters<GraphQLDataSource['process']>[0] {
  return { kind: GraphQLDataSourceRequestKind.HEALTH_CHECK, request: { query: text, variables }, context: {} };
}

/** Heap held by 2,000 different compiled documents. */
async function measureMemory(): Promise<void> {
  if (!globalThis.gc) return;
  const schema = buildSchema(
    'type User { id: ID name: String email: String role: String boss: User } type Query { user(id: ID!): User }',
  );
  const documents = 2_000;
  const source = createInProcessDataSource({ name: 'users', schema, contextFor: () => null, maxDocuments: documents });
  const fill = async (from: number) => {
    for (let index = from; index < from + documents; index += 1)
      await source.process(
        fetchOptions(`query($id:ID!){u${index}: user(id:$id){id name email role boss{id name}}}`, { id: '1' }),
      );
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const full = await fill(0);
  const replaced = await fill(documents);
  console.info(
    `${source.documentCount} compiled documents: ${((full - before) / documents / 1_024).toFixed(1)} KiB each; after as many others: ${((replaced - before) / documents / 1_024).toFixed(1)} KiB each`,
  );
}
