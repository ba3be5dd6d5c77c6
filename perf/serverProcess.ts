import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { compiledFolder } from '#shared/compileCache.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { runTokenCommand } from '../gateway/tokenCommand.ts';
import { findFreePort } from './freePort.ts';
import type { FromCommitClock, ToCommitClock } from './load/commitClock.ts';
import type { PlatformHosts } from './platformHosts.ts';
import { readResidentBytes } from './processCpu.ts';

/** What `npm start` gives Node: the server is measured as it is started. */
export function startFlags(): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly scripts: { readonly start: string };
  };
  return scripts.start.split(' ').filter((word) => word.startsWith('--'));
}

const projectFolder = fileURLToPath(new URL('..', import.meta.url));

export interface TokenOptions {
  readonly tenant: string;
  readonly subject: string;
  readonly roles?: readonly string[];
}

export interface ServerOptions {
  /** @default gateway/main.ts */
  readonly entry?: URL;
  /** Set over the environment of this process; DATABASE_URL and the like. */
  readonly env?: Readonly<Record<string, string>>;
  readonly databaseUrl?: string;
  /** Folder of keys and of the embedded database. */
  readonly dataDir: string;
  readonly logFile: string;
  /** @default '/ready' */
  readonly readyPath?: string;
  /** Of Node. @default what `npm start` gives it */
  readonly flags?: readonly string[];
  /** @default 60_000 */
  readonly readyTimeoutMs?: number;
  /** Keeps when each COMMIT returned. @default false */
  readonly commitClock?: boolean;
  /** Runs the gateway in one of these instead of in a process of its own. */
  readonly hosts?: PlatformHosts;
}

export interface RunningServer {
  /** GraphQL endpoint. */
  readonly url: string;
  readonly wsUrl: string;
  readonly origin: string;
  readonly pid: number;
  readonly databaseUrl: string | undefined;
  readonly readyAfterMs: number;
  /** Mints a token as `npm run -s token` does, with this server's keys; it lives an hour. */
  token(options: TokenOptions): Promise<string>;
  residentBytes(): number | null;
  running(): boolean;
  /**
   * When the COMMIT of each event returned to the server, monotonic ms by the cursor of the event: of all since it was asked last.
   * @throws {Error} when the server was not started with `commitClock`, or has ended
   */
  takeCommits(): Promise<ReadonlyMap<string, number>>;
  /** SIGTERM, and SIGKILL after 20 s. */
  stop(): Promise<void>;
}

/** Asks the clock that was preloaded into the server. */
function takeCommits(child: ChildProcess): Promise<ReadonlyMap<string, number>> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    function onMessage({ commits }: FromCommitClock): void {
      settle();
      resolve(new Map(commits.map(({ streamId, sequence, atMs }) => [encodeCursor(streamId, sequence), atMs])));
    }
    function onExit(code: number | null): void {
      settle();
      reject(new Error(`the server ended (exit code ${code}) before it told when it committed`));
    }
    if (!child.connected) {
      reject(new Error('expected a server that was started with its commit clock'));
      return;
    }
    child.on('message', onMessage);
    child.once('exit', onExit);
    const question: ToCommitClock = { type: 'commits' };
    child.send(question);
  });
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** In a process of its own. */
function spawnServer(
  options: ServerOptions,
  env: NodeJS.ProcessEnv,
  log: Writable,
): { readonly child: ChildProcess; stop(): Promise<void> } {
  const entry = fileURLToPath(options.entry ?? new URL('../gateway/main.ts', import.meta.url));
  const clock =
    options.commitClock === true ? ['--import', new URL('./load/commitClock.ts', import.meta.url).href] : [];
  const child: ChildProcess = spawn(process.execPath, [...(options.flags ?? startFlags()), ...clock, entry], {
    cwd: projectFolder,
    env,
    stdio: ['ignore', 'pipe', 'pipe', ...(options.commitClock === true ? ['ipc' as const] : [])],
    serialization: 'advanced',
  });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/**
 * Starts the server and waits until it is ready.
 * @throws {Error} when it ends or is not ready in time; the message names its log
 */
export async function startServerProcess(options: ServerOptions): Promise<RunningServer> {
  const port = await findFreePort();
  const origin = `http://127.0.0.1:${port}`;
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = createWriteStream(options.logFile, { flags: 'a' });
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    LOG_LEVEL: 'warn',
    NODE_COMPILE_CACHE: compiledFolder,
    ...options.env,
    HOST: '127.0.0.1',
    PORT: String(port),
    DATA_DIR: options.dataDir,
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
  };
  const startedMs = performance.now();
  const { child, stop: end } = options.hosts
    ? options.hosts.start('gateway/main.ts', environment, (text) => void log.write(text))
    : spawnServer(options, environment, log);
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = () => end().finally(() => log.end());

  const readyTimeoutMs = options.readyTimeoutMs ?? 60_000;
  while (!(await isReady(`${origin}${options.readyPath ?? '/ready'}`))) {
    const waitedMs = performance.now() - startedMs;
    if (hasEnded() || waitedMs > readyTimeoutMs) {
      const how = hasEnded()
        ? `ended with ${child.exitCode ?? child.signalCode}`
        : `was not ready after ${readyTimeoutMs} ms`;
      await stop();
      throw new Error(`the server ${how}; its output stands in ${options.logFile}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  return {
    origin,
    url: `${origin}/graphql`,
    wsUrl: `ws://127.0.0.1:${port}/graphql`,
    pid: child.pid!,
    databaseUrl: options.databaseUrl,
    readyAfterMs: performance.now() - startedMs,
    async token({ tenant, subject, roles = [] }) {
      const args = [
        '--tenant',
        tenant,
        '--subject',
        subject,
        ...(roles.length > 0 ? ['--roles', roles.join(',')] : []),
        '--acr',
        'mfa',
      ];
      const { exitCode, stdout, stderr } = await runTokenCommand(args, environment);
      if (exitCode !== 0) throw new Error(`no token was minted: ${stderr}`);
      return stdout.trim();
    },
    residentBytes: () => readResidentBytes(child.pid!),
    running: () => !hasEnded(),
    takeCommits: () => takeCommits(child),
    stop,
  };
}
