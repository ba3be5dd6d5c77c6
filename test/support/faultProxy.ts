import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createPipe, type Faults, type Pipe } from './faultPipe.ts';

export interface FaultTarget {
  readonly host: string;
  readonly port: number;
}

export type Direction = 'toClient' | 'toTarget';

export interface FaultProxyStats {
  /** Connections accepted since the start. */
  readonly accepted: number;
  readonly open: number;
  readonly bytesToTarget: number;
  readonly bytesToClient: number;
  /** Connections the proxy reset, by `cut` or `dropAfterBytes`. */
  readonly reset: number;
  /** Connections that ended because the target could not be reached. */
  readonly unreachable: number;
}

export interface FaultProxy {
  readonly port: number;
  /** `url('redis')` makes `redis://127.0.0.1:<port>`; a whole URL keeps all but its host and port. */
  url(schemeOrUrl: string): string;
  /** Resets every open connection (RST on both sides); new ones are served. */
  cut(): void;
  /** Stops reading on both sides: the senders' buffers fill up, nobody sees a close. Holds for new connections too. */
  pause(): void;
  resume(): void;
  /** Holds every chunk this long in each direction, order kept. 0 ends it. */
  delay(delayMs: number): void;
  /** Each connection passes this many bytes more in the direction, then is reset, mid-frame as it comes. */
  dropAfterBytes(bytes: number, direction?: Direction): void;
  /** Closes the listener: new connections get ECONNREFUSED, open ones go on. */
  refuse(): void;
  /** Ends every fault; open connections go on. */
  heal(): Promise<void>;
  /** Sends connections from now on elsewhere, as after a restart on another port. */
  retarget(target: FaultTarget): void;
  readonly stats: FaultProxyStats;
  close(): Promise<void>;
}

const host = '127.0.0.1';
const relistenForMs = 2_000;

/**
 * A TCP proxy on loopback that fails as networks do. It knows nothing of what it carries: HTTP, WebSocket, Redis and
 * PostgreSQL all pass.
 */
export async function createFaultProxy({ target: firstTarget }: { target: FaultTarget }): Promise<FaultProxy> {
  let target = firstTarget;
  const faults: Faults = { paused: false, delayMs: 0 };
  const budgets: Record<Direction, number> = { toClient: Number.POSITIVE_INFINITY, toTarget: Number.POSITIVE_INFINITY };
  const links = new Set<{ pipes: Record<Direction, Pipe>; reset(): void }>();
  const counters = { accepted: 0, bytesToTarget: 0, bytesToClient: 0, reset: 0, unreachable: 0 };

  function serve(client: Socket): void {
    counters.accepted += 1;
    const upstream = connect({ host: target.host, port: target.port, allowHalfOpen: true });
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    let connected = false;
    const reset = () => {
      counters.reset += 1;
      destroyBoth();
    };
    const link = {
      reset,
      pipes: {
        toTarget: createPipe({
          from: client,
          to: upstream,
          faults,
          count: (bytes) => {
            counters.bytesToTarget += bytes;
          },
          onBudgetSpent: reset,
        }),
        toClient: createPipe({
          from: upstream,
          to: client,
          faults,
          count: (bytes) => {
            counters.bytesToClient += bytes;
          },
          onBudgetSpent: reset,
        }),
      },
    };
    const destroyBoth = () => {
      links.delete(link);
      link.pipes.toTarget.stop();
      link.pipes.toClient.stop();
      client.resetAndDestroy();
      // A socket that is still connecting would otherwise wait for its connection before it resets it.
      if (upstream.connecting) upstream.destroy();
      else upstream.resetAndDestroy();
    };
    links.add(link);
    upstream.on('connect', () => {
      connected = true;
    });
    upstream.on('error', () => {
      if (!connected) counters.unreachable += 1;
      destroyBoth();
    });
    client.on('error', destroyBoth);
    const onClose = () => {
      if (client.destroyed && upstream.destroyed) links.delete(link);
    };
    client.on('close', onClose);
    upstream.on('close', onClose);
    for (const direction of ['toClient', 'toTarget'] as const) {
      link.pipes[direction].setBudget(budgets[direction]);
      link.pipes[direction].update();
    }
  }

  function listen(port: number): Promise<Server> {
    return new Promise((resolve, reject) => {
      const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, serve);
      listener.once('error', reject);
      listener.listen(port, host, () => resolve(listener));
    });
  }

  let server: Server | undefined = await listen(0);
  const { port } = server.address() as AddressInfo;

  async function listenAgain(): Promise<void> {
    const giveUpAtMs = performance.now() + relistenForMs;
    while (!server) {
      try {
        server = await listen(port);
      } catch (error) {
        if (performance.now() > giveUpAtMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  const updateAll = () => {
    for (const link of links) {
      link.pipes.toTarget.update();
      link.pipes.toClient.update();
    }
  };

  function setBudget(direction: Direction, bytes: number): void {
    budgets[direction] = bytes;
    for (const link of links) link.pipes[direction].setBudget(bytes);
  }

  function refuse(): void {
    server?.close();
    server = undefined;
  }

  function cut(): void {
    for (const link of [...links]) link.reset();
  }

  return {
    port,
    url(schemeOrUrl) {
      if (!schemeOrUrl.includes('://')) return `${schemeOrUrl}://${host}:${port}`;
      return schemeOrUrl.replace(/^([a-z][a-z0-9+.-]*:\/\/(?:[^@/]*@)?)[^/?#]*/i, `$1${host}:${port}`);
    },
    cut,
    pause() {
      faults.paused = true;
      updateAll();
    },
    resume() {
      faults.paused = false;
      updateAll();
    },
    delay(delayMs) {
      faults.delayMs = delayMs;
    },
    dropAfterBytes: (bytes, direction = 'toClient') => setBudget(direction, bytes),
    refuse,
    async heal() {
      faults.paused = false;
      faults.delayMs = 0;
      setBudget('toClient', Number.POSITIVE_INFINITY);
      setBudget('toTarget', Number.POSITIVE_INFINITY);
      updateAll();
      await listenAgain();
    },
    retarget(next) {
      target = next;
    },
    get stats() {
      return { ...counters, open: links.size };
    },
    async close() {
      const closing = server;
      refuse();
      const closed = new Promise<void>((resolve) => (closing ? closing.once('close', () => resolve()) : resolve()));
      cut();
      await closed;
    },
  };
}
