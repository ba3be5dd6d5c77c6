import { fork } from 'node:child_process';
import { endChild } from '../load/childProcess.ts';
import { startFlags } from '../serverProcess.ts';
import type { PeerSetup } from './peerServer.ts';

export interface ToPeer {
  readonly module: string;
  readonly setup: PeerSetup;
}

export type FromPeer =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'failed'; readonly message: string };

export interface PeerProcess {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const startTimeoutMs = 60_000;

/**
 * Starts the module of a peer in a process of its own, with the flags of `npm start` and NODE_ENV=production.
 * @throws {Error} when it fails, ends or does not listen within a minute.
 */
export async function startPeerProcess(module: URL, setup: PeerSetup): Promise<PeerProcess> {
  const child = fork(new URL('./child.ts', import.meta.url), {
    execArgv: [...startFlags()],
    env: { ...process.env, NODE_ENV: 'production', APOLLO_TELEMETRY_DISABLED: 'true' },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const listening = new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no peer listens after ${startTimeoutMs} ms`)), startTimeoutMs);
    child.once('exit', (code) => reject(new Error(`the peer ended before it listened (exit code ${code})`)));
    child.once('message', (message: FromPeer) => {
      clearTimeout(timer);
      if (message.type === 'listening') resolve(message.port);
      else reject(new Error(message.message));
    });
  });
  const message: ToPeer = { module: module.href, setup };
  child.send(message);
  try {
    const port = await listening;
    return { origin: `http://127.0.0.1:${port}`, pid: child.pid!, stop: () => endChild(child) };
  } catch (error) {
    await endChild(child);
    throw error;
  }
}
