/**
 * What one delivered subscription message costs the gateway: subscribers of one dialog on loopback, clients in another
 * process, every message committed to PostgreSQL and published on the bus. Beside it the bare `ws` broadcast of the
 * same bytes to the same clients. `node perf/probes/hub.ts [subscribers] [messagesPerSecond] [seconds]`
 */
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type WebSocket, WebSocketServer } from 'ws';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { migrate } from '../../prisma/migrate.ts';
import { createEventTable } from '../../test/gateway/subscriptions/rig/eventTable.ts';
import { createRig, tenantId } from '../../test/gateway/subscriptions/rig/index.ts';

const [subscribers = 1_000, messagesPerSecond = 30, seconds = 20] = process.argv.slice(2).map(Number);
const streamId = crypto.randomUUID();
const text = 'x'.repeat(300);
const query =
  'subscription ($d: ID!) { messageAdded(dialogId: $d) { cursor sequence message { id text context { id } } } }';

export interface ClientReport {
  readonly received: number;
  readonly incomplete: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

interface Run {
  readonly name: string;
  readonly url: string;
  ready(): boolean;
  /** Sends one message that carries `committedAtMs`, the epoch milliseconds at which COMMIT returned. */
  send(): Promise<void>;
}

const now = (): number => performance.timeOrigin + performance.now();
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function measure({ name, url, ready, send }: Run): Promise<void> {
  const client = fork(fileURLToPath(new URL('./hubClients.ts', import.meta.url)), [
    url,
    String(subscribers),
    query,
    streamId,
    String(messagesPerSecond * seconds + messagesPerSecond),
  ]);
  const report = Promise.withResolvers<ClientReport>();
  client.on('message', (message: ClientReport) => report.resolve(message));
  const patience = performance.now() + 60_000;
  while (!ready()) {
    if (performance.now() > patience) throw new Error(`${name}: not all ${subscribers} clients were served.`);
    await sleep(20);
  }
  // One second that is not measured, for the compilers.
  for (let index = 0; index < messagesPerSecond; index++) await Promise.all([send(), sleep(1000 / messagesPerSecond)]);
  client.send('measure');
  await sleep(300);
  const cpu = process.cpuUsage();
  const elu = performance.eventLoopUtilization();
  const began = performance.now();
  const messages = messagesPerSecond * seconds;
  for (let index = 0; index < messages; index++) {
    const due = began + (index * 1000) / messagesPerSecond;
    if (due > performance.now()) await sleep(due - performance.now());
    await send();
  }
  await sleep(200);
  const { user, system } = process.cpuUsage(cpu);
  const { utilization } = performance.eventLoopUtilization(elu);
  client.send('report');
  const { received, incomplete, ...latencies } = await report.promise;
  client.kill();
  const delivered = messages * subscribers;
  console.log(
    JSON.stringify({
      name,
      subscribers,
      messagesPerSecond,
      seconds,
      delivered,
      received,
      incompleteSubscribers: incomplete,
      cpuUsPerDelivered: round((user + system) / delivered),
      userUs: round(user / delivered),
      systemUs: round(system / delivered),
      eventLoopUtilization: round(utilization),
      ...latencies,
    }),
  );
}

const round = (value: number): number => Math.round(value * 100) / 100;

const server = await startTemporaryPostgres();
await migrate(server.url);
const table = createEventTable({ url: server.url, close: () => server.stop() });
let committedAtMs = 0;
const rig = await createRig({
  table,
  config: { pollIntervalMs: 50, sweepIntervalMs: 1_000, maxPerSubject: subscribers },
});
const append = () =>
  table.append({
    tenantId,
    streamId,
    type: 'dialog.message.sent',
    data: { id: crypto.randomUUID(), text, context: { id: 'c' }, parts: [] },
  });
await append();

await measure({
  name: 'hub',
  url: rig.webSocketUrl,
  ready: () => rig.hub.stats().subscriptions === subscribers,
  async send() {
    const event = await append();
    committedAtMs = now();
    // Rides in the row, so that the clients can tell how long ago the commit was.
    rig.bus.publish([{ ...event, data: { ...event.data, text: `${committedAtMs} ${text}` } }]);
  },
});
await rig.close();

// The floor: the same commit, then one frame built by ws per client from one shared message.
const sockets = new Set<WebSocket>();
const plain = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  handleProtocols: () => 'graphql-transport-ws',
});
const plainServer = createServer();
plainServer.on('upgrade', (request, socket, head) =>
  plain.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on('message', (data) => {
      const { type } = JSON.parse(String(data)) as { type: string };
      if (type === 'connection_init') webSocket.send('{"type":"connection_ack"}');
      else sockets.add(webSocket);
    });
  }),
);
await new Promise<void>((resolve) => plainServer.listen(0, '127.0.0.1', resolve));
await measure({
  name: 'bare ws broadcast',
  url: `ws://127.0.0.1:${(plainServer.address() as AddressInfo).port}/`,
  ready: () => sockets.size === subscribers,
  async send() {
    const event = await append();
    committedAtMs = now();
    const payload = {
      data: {
        messageAdded: {
          cursor: 'A'.repeat(30),
          sequence: event.sequence,
          message: { id: event.data['id'], text: `${committedAtMs} ${text}`, context: { id: 'c' } },
        },
      },
    };
    const bytes = Buffer.from(JSON.stringify({ id: crypto.randomUUID(), type: 'next', payload }));
    for (const socket of sockets) socket.send(bytes, { binary: false });
  },
});
for (const socket of sockets) socket.terminate();
plainServer.close();
await table.close();
