/** A process that serves one kind of fan-out: started by `measureFanOut`, never by hand. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FanOutServer, StartFanOut } from './fanOutServer.ts';
import { messageOf } from './message.ts';
import type { FromServer, ToServer } from './messages.ts';

let server: FanOutServer | undefined;
let sequence = 0;

function tell(message: FromServer): void {
  process.send?.(message);
}

async function publish(bursts: number, size: number, everyMs: number): Promise<void> {
  const began = performance.now();
  for (let burst = 0; burst < bursts; burst += 1) {
    const dueMs = began + burst * everyMs;
    if (dueMs > performance.now()) await sleep(dueMs - performance.now());
    const sentAt = performance.timeOrigin + performance.now();
    server?.publish(Array.from({ length: size }, () => messageOf(++sequence, sentAt)));
  }
}

async function obey(message: ToServer): Promise<void> {
  switch (message.type) {
    case 'start': {
      const { start } = (await import(message.module)) as { start: StartFanOut };
      server = await start();
      return tell({ type: 'listening', port: server.port });
    }
    case 'await':
      while ((server?.subscribers ?? 0) < message.subscribers) await sleep(10);
      return tell({ type: 'subscribed' });
    case 'publish':
      await publish(message.bursts, message.size, message.everyMs);
      return tell({ type: 'published' });
  }
}

process.on('message', (message: ToServer) => {
  obey(message).catch((error: unknown) =>
    tell({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.once('disconnect', () => {
  if (server) void server.close().finally(() => process.exit(0));
  else process.exit(0);
});
