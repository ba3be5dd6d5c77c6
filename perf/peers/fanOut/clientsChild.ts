/** A process of subscribers: started by `measureFanOut`, never by hand. */
import { createHistogram } from '../../load/histogram.ts';
import { createWebSocketOpener } from '../../load/webSocketClient.ts';
import { operationId } from './bare.ts';
import { messageOf, nextMessage, room, subscription } from './message.ts';
import type { ClientsSpec, FromClients, ToClients } from './messages.ts';

const openWebSocket = createWebSocketOpener();
/** Sequence each socket has come to. */
const reached: number[] = [];
let latency = createHistogram();
let expected: number | null = null;
let behind = 0;
let hasFailed = false;
let cpu = process.cpuUsage();
/** The last messages, by their sequence: all sockets get the same bytes, which are held against what is right once. */
const checked = new Map<number, { readonly bytes: Buffer; readonly sentAt: number }>();

function tell(message: FromClients): void {
  process.send?.(message);
}

function sentAtOf(buffer: Buffer, start: number, end: number, sequence: number): number {
  const known = checked.get(sequence);
  if (known) {
    if (known.bytes.compare(buffer, start, end) !== 0)
      throw new Error(`two sockets got different bytes of message ${sequence}`);
    return known.sentAt;
  }
  const text = buffer.toString('utf8', start, end);
  const { payload } = JSON.parse(text) as { payload?: { data?: { messageAdded?: { sentAt?: number } } } };
  const sentAt = payload?.data?.messageAdded?.sentAt ?? Number.NaN;
  const right = nextMessage(operationId, messageOf(sequence, sentAt));
  if (text !== right) throw new Error(`expected ${right}, got ${text}`);
  // The buffer of the sockets is reused: keep a copy.
  checked.set(sequence, { bytes: Buffer.from(buffer.subarray(start, end)), sentAt });
  checked.delete(sequence - 1_000);
  return sentAt;
}

function receive(socket: number, buffer: Buffer, start: number, end: number): void {
  const sequence = reached[socket]! + 1;
  const sentAt = sentAtOf(buffer, start, end, sequence);
  reached[socket] = sequence;
  latency.record(Math.max(0, performance.timeOrigin + performance.now() - sentAt));
  if (sequence === expected) settle(1);
}

function settle(arrived: number): void {
  behind -= arrived;
  if (expected === null || behind > 0) return;
  expected = null;
  const used = process.cpuUsage(cpu);
  const { p50Ms, p99Ms } = latency.summary();
  tell({ type: 'received', p50Ms, p99Ms, cpuMs: (used.user + used.system) / 1_000 });
}

async function open(socket: number, url: string): Promise<void> {
  reached[socket] = 0;
  const acknowledged = Promise.withResolvers<void>();
  let isAcknowledged = false;
  const webSocket = await openWebSocket({
    url,
    protocol: 'graphql-transport-ws',
    onText(bytes, start, end) {
      if (isAcknowledged) {
        try {
          receive(socket, bytes, start, end);
        } catch (error) {
          fail(error);
        }
      } else {
        isAcknowledged = true;
        acknowledged.resolve();
      }
    },
    onClose: (code, error) => fail(error ?? new Error(`socket ${socket} was closed with ${code}`)),
  });
  webSocket.send('{"type":"connection_init"}');
  await acknowledged.promise;
  webSocket.send(
    JSON.stringify({ id: operationId, type: 'subscribe', payload: { query: subscription, variables: { room } } }),
  );
}

async function openAll({ url, sockets }: ClientsSpec): Promise<void> {
  for (let first = 0; first < sockets; first += 50)
    await Promise.all(Array.from({ length: Math.min(50, sockets - first) }, (_, offset) => open(first + offset, url)));
  tell({ type: 'opened' });
}

/** Told once: what comes after it says nothing more. */
function fail(error: unknown): void {
  if (hasFailed) return;
  hasFailed = true;
  tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
}

process.on('message', (message: ToClients) => {
  if (message.type === 'open') {
    openAll(message.spec).catch(fail);
    return;
  }
  latency = createHistogram();
  cpu = process.cpuUsage();
  expected = message.sequence;
  behind = reached.length;
  settle(reached.filter((sequence) => sequence >= message.sequence).length);
});
process.once('disconnect', () => process.exit(0));
