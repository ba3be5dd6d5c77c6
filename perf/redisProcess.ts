import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { findFreePort } from './freePort.ts';

export interface RedisProcess {
  readonly url: string;
  stop(): Promise<void>;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Starts a `redis-server` that keeps nothing; null where none is installed: the column is then left out. */
export async function startRedisProcess(): Promise<RedisProcess | null> {
  const port = await findFreePort();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore' },
  );
  let ended = false;
  const end = new Promise<void>((resolve) => {
    const note = (): void => {
      ended = true;
      resolve();
    };
    child.once('exit', note);
    child.once('error', note);
  });
  const giveUpMs = performance.now() + 5_000;
  while (!(await canConnect(port))) {
    if (ended || performance.now() > giveUpMs) {
      child.kill();
      return null;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      child.kill();
      await end;
    },
  };
}
