/** Clients of the hub probe: each counts its messages and notes how long ago the commit was. */
import { WebSocket } from 'ws';
import type { ClientReport } from './hub.ts';

const [url = '', count = '0', query = '', streamId = '', expected = '0'] = process.argv.slice(2);
const latencies: number[] = [];
const received: number[] = Array.from({ length: Number(count) }, () => 0);
const marker = Buffer.from('"text":"');
let measuring = false;

async function open(index: number): Promise<void> {
  const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.send('{"type":"connection_init","payload":{"authorization":"Bearer ann"}}');
  await new Promise((resolve) => socket.once('message', resolve));
  socket.on('message', (data: Buffer) => {
    const start = data.indexOf(marker) + marker.length;
    const committedAtMs = Number(data.toString('latin1', start, data.indexOf(0x20, start)));
    received[index] = (received[index] ?? 0) + 1;
    if (measuring) latencies.push(performance.timeOrigin + performance.now() - committedAtMs);
  });
  socket.send(
    JSON.stringify({ id: crypto.randomUUID(), type: 'subscribe', payload: { query, variables: { d: streamId } } }),
  );
}

process.on('message', (message) => {
  if (message === 'measure') {
    measuring = true;
    return;
  }
  latencies.sort((a, b) => a - b);
  const at = (quantile: number): number =>
    Math.round((latencies[Math.floor(quantile * (latencies.length - 1))] ?? Number.NaN) * 100) / 100;
  const report: ClientReport = {
    received: latencies.length,
    incomplete: received.filter((messages) => messages !== Number(expected)).length,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
  process.send?.(report);
});

for (let index = 0; index < Number(count); index += 50) {
  await Promise.all(Array.from({ length: Math.min(50, Number(count) - index) }, (_, offset) => open(index + offset)));
}
