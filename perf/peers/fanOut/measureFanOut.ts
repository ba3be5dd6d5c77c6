import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { endChild, forkModule } from '../../load/childProcess.ts';
import { readProcessCpuMs } from '../../processCpu.ts';
import type { FromClients, FromServer, ToClients, ToServer } from './messages.ts';

export interface FanOutKind {
  readonly name: string;
  readonly title: string;
  readonly module: URL;
}

export const fanOutKinds: readonly FanOutKind[] = [
  {
    name: 'bare-coalesced',
    title: 'bare sockets, frames made once, one write a burst',
    module: new URL('./bareCoalesced.ts', import.meta.url),
  },
  {
    name: 'bare-each',
    title: 'bare ws, each message to each socket',
    module: new URL('./bareEach.ts', import.meta.url),
  },
  { name: 'ours', title: 'ours: the subscription hub', module: new URL('./ours.ts', import.meta.url) },
  { name: 'graphql-ws', title: 'graphql-ws, stock', module: new URL('./graphqlWs.ts', import.meta.url) },
];

export interface FanOutLoad {
  readonly sockets: number;
  /** Messages published at one moment. */
  readonly burst: number;
  readonly everyMs: number;
  readonly bursts: number;
  readonly rounds: number;
}

export interface FanOutWindow {
  readonly kind: string;
  readonly round: number;
  /** CPU of the server's process for a message that arrived at one socket, us. */
  readonly cpuUsPerDelivery: number;
  /** From the moment of publishing to the client. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly clientCpuUsPerDelivery: number;
}

const timeoutMs = 120_000;

/** The next message of that type. @throws {Error} when the process fails, ends or says nothing for two minutes */
function hear<Message extends { readonly type: string }, Type extends Message['type']>(
  child: ChildProcess,
  type: Type,
): Promise<Extract<Message, { type: Type }>> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const isWanted = (message: Message): message is Extract<Message, { type: Type }> => message.type === type;
    function onMessage(message: Message | { readonly type: 'failed'; readonly message: string }): void {
      if (message.type === 'failed' && 'message' in message) {
        end();
        reject(new Error(String(message.message)));
      } else if (isWanted(message as Message)) {
        end();
        resolve(message as Extract<Message, { type: Type }>);
      }
    }
    const onExit = (code: number | null): void => {
      end();
      reject(new Error(`a process of the fan-out ended (exit code ${code})`));
    };
    const timer = setTimeout(() => {
      end();
      reject(new Error(`no "${type}" within ${timeoutMs} ms`));
    }, timeoutMs);
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}

/**
 * Publishes the same messages to the same sockets from each kind of server, round by round, every second round in the
 * other order. Every socket must get every message, in order, to the byte.
 * @throws {Error} when one does not.
 */
export async function measureFanOut(
  kinds: readonly FanOutKind[],
  load: FanOutLoad,
  log: (line: string) => void,
): Promise<readonly FanOutWindow[]> {
  const windows: FanOutWindow[] = [];
  for (let round = 0; round < load.rounds; round += 1) {
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
      const window = { kind: kind.name, round, ...(await measureKind(kind, load)) };
      windows.push(window);
      log(
        `fan-out, round ${round + 1}: ${kind.name} ${window.cpuUsPerDelivery.toFixed(2)} us of CPU a delivery, p99 ${window.p99Ms.toFixed(1)} ms`,
      );
    }
  }
  return windows;
}

async function measureKind(kind: FanOutKind, load: FanOutLoad): Promise<Omit<FanOutWindow, 'kind' | 'round'>> {
  const server = forkModule(new URL('./serverChild.ts', import.meta.url));
  const clients = forkModule(new URL('./clientsChild.ts', import.meta.url));
  const tellServer = (message: ToServer): boolean => server.send(message);
  const tellClients = (message: ToClients): boolean => clients.send(message);
  /** Publishes bursts and waits until every socket has all of them. */
  async function deliver(bursts: number, upTo: number): Promise<Extract<FromClients, { type: 'received' }>> {
    const received = hear<FromClients, 'received'>(clients, 'received');
    const published = hear<FromServer, 'published'>(server, 'published');
    tellClients({ type: 'expect', sequence: upTo });
    tellServer({ type: 'publish', bursts, size: load.burst, everyMs: load.everyMs });
    const [report] = await Promise.all([received, published]);
    return report;
  }
  try {
    const listening = hear<FromServer, 'listening'>(server, 'listening');
    tellServer({ type: 'start', module: kind.module.href });
    const { port } = await listening;
    const opened = hear<FromClients, 'opened'>(clients, 'opened');
    const subscribed = hear<FromServer, 'subscribed'>(server, 'subscribed');
    tellClients({ type: 'open', spec: { url: `ws://127.0.0.1:${port}/graphql`, sockets: load.sockets } });
    tellServer({ type: 'await', subscribers: load.sockets });
    await Promise.all([opened, subscribed]);
    // An iterator that was made is asked for its first message a little later.
    await sleep(200);
    const warmBursts = Math.ceil(load.bursts / 4);
    await deliver(warmBursts, warmBursts * load.burst);
    const before = readProcessCpuMs(server.pid!) ?? Number.NaN;
    const report = await deliver(load.bursts, (warmBursts + load.bursts) * load.burst);
    const after = readProcessCpuMs(server.pid!) ?? Number.NaN;
    const deliveries = load.bursts * load.burst * load.sockets;
    return {
      cpuUsPerDelivery: ((after - before) * 1_000) / deliveries,
      p50Ms: report.p50Ms,
      p99Ms: report.p99Ms,
      clientCpuUsPerDelivery: (report.cpuMs * 1_000) / deliveries,
    };
  } catch (error) {
    throw new Error(`${kind.name}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await Promise.all([endChild(clients), endChild(server)]);
  }
}
