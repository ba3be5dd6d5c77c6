import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chown, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account } from './account.ts';
import type { Place } from './folders.ts';
import { dropStaleSocket, prepareSocketFolder } from './localSocket.ts';
import { dropStalePostmasterFile, isRunning, readPostmasterFile } from './processes.ts';

/** Durable as a production server; sized for a development machine of 2 cores and more memory than data. */
export const serverSettings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  max_connections: '300',
  shared_buffers: '256MB',
  effective_cache_size: '4GB',
  work_mem: '16MB',
  maintenance_work_mem: '128MB',
  wal_buffers: '16MB',
  min_wal_size: '512MB',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  // Statements are short and the cores few: compiling a plan or splitting it over workers costs more than it gives.
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  autovacuum_naptime: '30s',
  idle_in_transaction_session_timeout: '60s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
};

const startTimeoutMs = 120_000;
const maxLogBytes = 10_000_000;
// Messages stay English and sort order plain whatever the environment says, or does not say.
const environment = { LANG: 'C', LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

/** Makes an empty cluster: UTF8 and C.UTF-8 of the server itself, so no locale of the machine matters. */
export async function initCluster(place: Place, settings: Readonly<Record<string, string>>): Promise<void> {
  const passwordFile = `${place.directory}.pw`;
  await writeFile(passwordFile, place.state.superuserPassword, { mode: 0o600 });
  const { uid, gid } = place.account.identity;
  if (uid !== undefined && gid !== undefined) await chown(passwordFile, uid, gid);
  try {
    await runToEnd(
      place.binaries.initdb,
      [
        `--pgdata=${place.directory}`,
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        ...(settings['fsync'] === 'off' ? ['--no-sync'] : []),
      ],
      place.account,
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** The major version a cluster was made with must be that of the binaries. */
export async function checkVersion(place: Place): Promise<void> {
  const made = (await readFile(join(place.directory, 'PG_VERSION'), 'utf8')).trim();
  const major = place.binaries.version.split('.')[0];
  if (made !== major) {
    throw new Error(
      `the database in ${place.directory} was made by PostgreSQL ${made}, the installed one is ${major}: dump it with the old version, or delete the folder.`,
    );
  }
}

export interface StartOptions {
  readonly logFile: string;
  readonly settings: Readonly<Record<string, string>>;
  /** A port that must be had; without it the remembered one is tried, then free ones. */
  readonly port: number | undefined;
}

/**
 * Starts the server and waits until it takes connections; resolves with its process number and port.
 * @throws {Error} with the end of the server's log when it does not start.
 */
export async function startServer(place: Place, options: StartOptions): Promise<{ pid: number; port: number }> {
  const remembered = place.state.port === 0 ? [] : [place.state.port];
  const candidates = options.port === undefined ? [...remembered, 0, 0, 0] : [options.port];
  const sockets = (await prepareSocketFolder(place.account)) ?? '';
  for (const [index, candidate] of candidates.entries()) {
    const port = candidate === 0 ? await findFreePort() : candidate;
    if (sockets !== '') await dropStaleSocket(sockets, port);
    let outcome = await tryStart(place, options, { port, sockets });
    // Speed alone: without its socket it starts all the same.
    if (typeof outcome === 'string' && /\.s\.PGSQL\.|Unix-domain/.test(outcome))
      outcome = await tryStart(place, options, { port, sockets: '' });
    if (typeof outcome === 'number') return { pid: outcome, port };
    const taken = /could not bind|Address already in use/.test(outcome);
    if (!taken || index === candidates.length - 1) {
      throw new Error(
        taken
          ? `port ${port} for PostgreSQL is taken`
          : `PostgreSQL did not start; ${options.logFile} ends with:\n${outcome}`,
      );
    }
  }
  throw new Error('no port for PostgreSQL');
}

/** Resolves with the process number, or with the end of the log. */
async function tryStart(
  place: Place,
  options: StartOptions,
  { port, sockets }: { readonly port: number; readonly sockets: string },
): Promise<number | string> {
  await dropStalePostmasterFile(place.directory);
  const logStart = await sizeOf(options.logFile);
  const settings = {
    ...serverSettings,
    unix_socket_directories: sockets,
    unix_socket_permissions: '0700',
    ...options.settings,
    port: String(port),
  };
  const logFd = openSync(options.logFile, 'a', 0o600);
  let ended = false;
  const child = spawn(
    place.binaries.postgres,
    ['-D', place.directory, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // A session of its own: Ctrl-C in the terminal must reach us alone, so that we can drain before the server goes.
    { ...place.account.identity, cwd: '/', env: environment, stdio: ['ignore', logFd, logFd], detached: true },
  );
  closeSync(logFd);
  child.unref();
  let failure = '';
  child.once('error', (error) => {
    ended = true;
    failure = error.message;
  });
  child.once('exit', () => {
    ended = true;
  });
  const deadline = performance.now() + startTimeoutMs;
  while (!ended && performance.now() < deadline) {
    const file = await readPostmasterFile(place.directory);
    if (file !== null && file.pid === child.pid && file.status === 'ready') return file.pid;
    await sleep(5);
  }
  if (child.pid !== undefined && isRunning(child.pid)) child.kill('SIGQUIT');
  return failure || (await readTail(options.logFile, logStart));
}

/** Keeps the log from growing without bound over many starts. */
export async function trimLog(logFile: string): Promise<void> {
  if ((await sizeOf(logFile)) > maxLogBytes) await truncate(logFile);
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

function runToEnd(command: string, args: readonly string[], account: Account): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...account.identity,
      cwd: '/',
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`initdb failed: ${stderr.trim()}`))));
  });
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

async function readTail(file: string, from: number): Promise<string> {
  const handle = await open(file).catch(() => null);
  if (handle === null) return '';
  try {
    const { size } = await handle.stat();
    const start = Math.max(from, size - 2_000);
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(Math.max(0, size - start)),
      0,
      Math.max(0, size - start),
      start,
    );
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await handle.close();
  }
}
