import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AuthenticationSetup } from './authentication.ts';

/** What a peer is told before it starts. Plain data: it comes from another process. */
export interface PeerSetup {
  /** Which way of one server: `inProcess` or `http` of ours, `js` or `rust` of Hive Gateway. */
  readonly variant?: string;
  readonly supergraphSdl: string;
  /** Origin of the subgraphs; each is served at its name. */
  readonly subgraphsOrigin: string;
  readonly authentication: AuthenticationSetup;
  /** For the ceiling, which executes nothing: bodies and their answers. */
  readonly answers: readonly (readonly [body: string, answer: string])[];
}

export interface RunningPeer {
  readonly port: number;
  close(): Promise<void>;
}

/** What the module of a peer exports as `start`. */
export type StartPeer = (setup: PeerSetup) => Promise<RunningPeer>;

/** Listens on a free port of 127.0.0.1; kept-alive connections outlast any pause between two windows. */
export async function listenLocally(server: Server): Promise<RunningPeer> {
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
