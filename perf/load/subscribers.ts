/** A process of subscribers: started by `openSubscribers`, never by hand. */
import { monotonicMs } from './clock.ts';
import { createFrameReader } from './frameReader.ts';
import { createRandom } from './random.ts';
import { createSubscriberLog } from './subscriberLog.ts';
import type {
  FromSubscriber,
  SubscriberFinish,
  SubscriberReport,
  SubscriberSpec,
  ToSubscriber,
} from './subscriberMessages.ts';
import { createWebSocketOpener, type WebSocketClient } from './webSocketClient.ts';
import type { CreateSubscriptions, SubscriptionWorkload } from './workload.ts';

const tell = (message: FromSubscriber): void => void process.send?.(message);

function addTo(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

async function loadSubscriptions(spec: SubscriberSpec): Promise<SubscriptionWorkload> {
  const module: { createSubscriptions?: CreateSubscriptions<unknown> } = await import(spec.subscriptions);
  if (typeof module.createSubscriptions !== 'function')
    throw new Error(`expected ${spec.subscriptions} to export createSubscriptions`);
  return await module.createSubscriptions(spec.params, {
    seed: spec.seed,
    worker: spec.worker,
    workers: spec.workers,
    random: createRandom(spec.seed + spec.worker),
  });
}

/** Opens the sockets and counts what they get until told to finish. */
async function createSubscribers(spec: SubscriberSpec): Promise<{
  beginWindow(): void;
  finish(finish: SubscriberFinish): Promise<SubscriberReport>;
}> {
  const workload = await loadSubscriptions(spec);
  const read = createFrameReader(workload);
  const log = createSubscriberLog(spec.sockets);
  const closed: Record<string, number> = {};
  const errors: Record<string, number> = {};
  const sockets: WebSocketClient[] = [];
  const open = createWebSocketOpener();
  let finishing = false;

  async function openSocket(local: number): Promise<void> {
    const index = spec.firstIndex + local;
    const start = workload.start(index);
    // Ids differ and are equally long, as those of real clients may be: the server cannot send one frame to all.
    const id = `s${String(index).padStart(6, '0')}`;
    const acknowledged = Promise.withResolvers<void>();
    // One that is not opened at all is told of by `open`.
    acknowledged.promise.catch(() => {});
    const socket = await open({
      url: spec.wsUrl,
      protocol: 'graphql-transport-ws',
      ...(start.headers === undefined ? {} : { headers: start.headers }),
      onText(bytes, from, to) {
        const frame = read(bytes, from, to, id.length);
        switch (frame.type) {
          case 'next':
            if (frame.id !== id) addTo(errors, 'FOREIGN_ID');
            else if (frame.event) log.receive(local, frame.event, monotonicMs(), Date.now());
            return;
          case 'connection_ack':
            acknowledged.resolve();
            return;
          case 'ping':
            socket.send('{"type":"pong"}');
            return;
          case 'error':
          case 'complete':
            addTo(errors, `${frame.type}: ${frame.detail}`);
            return;
          case 'other':
        }
      },
      onClose(code, error) {
        if (!finishing) addTo(closed, String(code));
        if (!finishing && error) addTo(errors, error.message);
        acknowledged.reject(new Error(`socket ${index} was closed with ${code} before it was acknowledged`));
      },
    });
    sockets.push(socket);
    const say = (message: unknown): void => socket.send(JSON.stringify(message));
    say({ type: 'connection_init', ...(start.connectionParams && { payload: start.connectionParams }) });
    await acknowledged.promise;
    const { query, variables, operationName } = start;
    say({ id, type: 'subscribe', payload: { query, variables, operationName } });
  }

  let next = 0;
  async function openSome(): Promise<void> {
    while (next < spec.sockets) await openSocket(next++);
  }
  await Promise.all(Array.from({ length: Math.min(spec.sockets, spec.connectConcurrency) }, openSome));

  let windowFromMs = monotonicMs();
  let cpuFrom = process.cpuUsage();
  return {
    beginWindow() {
      log.beginWindow();
      windowFromMs = monotonicMs();
      cpuFrom = process.cpuUsage();
    },
    async finish(finish) {
      finishing = true;
      const used = process.cpuUsage(cpuFrom);
      const report = {
        subscribed: sockets.length,
        ...log.report(finish),
        closed,
        errors,
        cpuMs: (used.user + used.system) / 1000,
        windowMs: monotonicMs() - windowFromMs,
      };
      for (const socket of sockets) socket.terminate();
      await workload.close?.();
      return report;
    },
  };
}

function fail(error: unknown): void {
  tell({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

// The parent ends the process by disconnecting, when it has read the last message.
process.on('disconnect', () => process.exit(0));
let subscribers: Awaited<ReturnType<typeof createSubscribers>> | null = null;
process.on('message', (message: ToSubscriber) => {
  if (message.type === 'start') {
    createSubscribers(message.spec).then((created) => {
      subscribers = created;
      tell({ type: 'subscribed', count: message.spec.sockets });
    }, fail);
  } else if (message.type === 'window') subscribers?.beginWindow();
  else
    subscribers?.finish(message.finish).then((report) => {
      tell({ type: 'report', report });
    }, fail);
});
