import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { spawnWatched } from '../../perf/watchedProcess.ts';

/** A Redis server that belongs to one test, which may kill it. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Ends it in order; nothing is kept. */
  stop(): Promise<void>;
  /** Ends it as a crash does: connections break off mid-word. */
  kill(): Promise<void>;
  /** Ends it if it runs and starts an empty one on the same port. */
  restart(): Promise<void>;
}

const startTimeoutMs = 10_000;

/**
 * Starts `redis-server` on a free port of 127.0.0.1, without persistence.
 * @throws {Error} when there is none on PATH; the message says what to install.
 */
export async function startRedis(): Promise<TestRedis> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await findFreePort();
    try {
      return createTestRedis(port, await spawnRedis(port));
    } catch (error) {
      // Another worker may have taken the port between the probe and the start.
      if (attempt === 3 || !(error instanceof Error && error.message.includes('in use'))) throw error;
    }
  }
}

/** Whether `redis-server` can be started. */
export async function hasRedis(): Promise<boolean> {
  return promisify(execFile)('redis-server', ['--version']).then(
    () => true,
    () => false,
  );
}

/**
 * Makes sure that there is a `redis-server`, installing Debian's when `mayInstall` (we are root) and saying so.
 * @throws {Error} that says what to install.
 */
export async function requireRedis(log: (line: string) => void, mayInstall = process.getuid?.() === 0): Promise<void> {
  if (await hasRedis()) return;
  const advice =
    'the tests need Redis: install redis-server (Debian: apt-get install redis-server; macOS: brew install redis) or set REDIS_URL';
  const run = promisify(execFile);
  const hasApt = await run('apt-get', ['--version']).then(
    () => true,
    () => false,
  );
  if (!mayInstall || !hasApt) throw new Error(advice);
  log('the tests need Redis and there is no redis-server on PATH: installing it with "apt-get install redis-server"');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['update', '-q'], { env, maxBuffer: 16_000_000 });
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'redis-server'], {
      env,
      maxBuffer: 16_000_000,
    });
  } catch (cause) {
    throw new Error(`${advice}; installing it failed`, { cause });
  }
  if (!(await hasRedis())) throw new Error(advice);
}

function createTestRedis(port: number, first: ChildProcess): TestRedis {
  let server: ChildProcess | null = first;
  const end = async (signal: NodeJS.Signals) => {
    const ending = server;
    server = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, 'exit');
    ending.kill(signal);
    await exited;
  };
  const stop = () => end('SIGTERM');
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    stop,
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGKILL');
      server = await spawnRedis(port);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function spawnRedis(port: number): Promise<ChildProcess> {
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--daemonize',
    'no',
  ];
  const child = spawnWatched('redis-server', settings, { cwd: '/' });
  try {
    await whenReady(child, port);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return child;
}

function whenReady(child: ChildProcess, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(
      () => reject(new Error(`redis-server was not ready after ${startTimeoutMs} ms:\n${output}`)),
      startTimeoutMs,
    );
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      finish();
    };
    // Reading goes on after the start: a full pipe would stop the server.
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < 10_000) output += text;
      if (/Ready to accept connections/.test(output)) settle(resolve);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < 10_000) output += text;
    });
    child.once('error', (cause) => settle(() => reject(new Error('redis-server does not start', { cause }))));
    child.once('exit', () => {
      const reason = /Address already in use/.test(output)
        ? `port ${port} is in use`
        : `is it installed? ${output.trim()}`;
      settle(() => reject(new Error(`redis-server does not start: ${reason}`)));
    });
  });
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host: '127.0.0.1', port: 0, exclusive: true }, () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no free port')),
      );
    });
  });
}
