import { mkdtemp, readdir, realpath, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { choosePlace, type Place, prepareDataDir, readState, removeDatabase, writeState } from './embedded/folders.ts';
import { holdFolder } from './embedded/lease.ts';
import { findPostmaster, stopPostmaster } from './embedded/processes.ts';
import { checkVersion, initCluster, startServer, trimLog } from './embedded/server.ts';

export interface EmbeddedPostgresOptions {
  /** Folder of the database, its port and its passwords; made when absent. */
  readonly dataDir: string;
  readonly log?: (line: string) => void;
  /** Port to listen on; by default the one used before, else a free one. */
  readonly port?: number;
  /** Server settings beside or instead of the built-in ones. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  /** Database `mplp` as its owner, who may create databases. */
  readonly url: string;
  readonly superuserUrl: string;
  readonly port: number;
  /** Process number of the server. */
  readonly pid: number;
  /** Gives the server back; the last process that uses it stops it. */
  stop(): Promise<void>;
  /** Stops the server and deletes its data. */
  remove(): Promise<void>;
}

const temporaryPrefix = 'mplp-postgres-';

/**
 * Starts the installed PostgreSQL binaries on a data folder, making the database at the first start.
 * Several processes may start the same folder: they share one server, and the last one stops it. A server that a killed
 * process left behind is replaced. Commits are durable unless `settings` says otherwise.
 * @throws {Error} when this platform has no binaries, or with the server's own words when it does not start.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const dataDir = await prepareDataDir(resolve(options.dataDir));
  return holdFolder(dataDir, async (users) => {
    const known = await readState(dataDir);
    if (users.count() > 0 && known !== null) {
      const shared = await findPostmaster(resolve(dataDir, known.directory));
      if (shared !== null) {
        if (options.port !== undefined && options.port !== shared.port) {
          throw new Error(
            `the database in ${dataDir} is in use on port ${shared.port}, asked for ${options.port}: use that port or another DATA_DIR.`,
          );
        }
        log(`sharing the database in ${dataDir} with another process`);
        return createHandle(
          dataDir,
          resolve(dataDir, known.directory),
          { ...shared, ...known, port: shared.port },
          users.add(),
        );
      }
    }
    const place = await choosePlace(dataDir, log);
    const abandoned = await findPostmaster(place.directory);
    if (abandoned !== null) {
      log(`stopping the PostgreSQL that a killed process left (process ${abandoned.pid})`);
      await stopPostmaster(abandoned.pid);
    }
    const first = !place.state.initialized;
    if (first) {
      log(`making a database in ${place.directory}`);
      await initCluster(place, options.settings ?? {});
    }
    await checkVersion(place);
    const logFile = join(dataDir, 'postgres.log');
    await trimLog(logFile);
    const { pid, port } = await startServer(place, { logFile, settings: options.settings ?? {}, port: options.port });
    const state = { ...place.state, dataDir, port, initialized: true };
    try {
      if (first) await createDatabase({ ...place, state });
      await writeState(dataDir, state);
    } catch (error) {
      await stopPostmaster(pid);
      throw error;
    }
    log(`PostgreSQL ${place.binaries.version} on 127.0.0.1:${port} as ${place.account.name}`);
    return createHandle(dataDir, place.directory, { ...state, pid }, users.add());
  });
}

export interface TemporaryPostgresOptions extends Omit<EmbeddedPostgresOptions, 'dataDir'> {
  /** Gives up durability: nothing is synced, and the data lies in memory where that is large enough. @default false */
  readonly volatile?: boolean;
}

/** A server on a folder of its own that `stop` deletes; folders that killed processes left are swept first. */
export async function startTemporaryPostgres(options: TemporaryPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const { volatile = false, ...rest } = options;
  const parent = volatile ? await findMemoryFolder() : tmpdir();
  await sweepTemporary(parent);
  const dataDir = await mkdtemp(join(parent, temporaryPrefix));
  const settings = { ...(volatile ? volatileSettings : {}), ...rest.settings };
  const server = await startEmbeddedPostgres({ ...rest, settings, dataDir });
  let removed: Promise<void> | undefined;
  const remove = () => {
    removed ??= server.remove().then(() => rm(dataDir, { recursive: true, force: true }));
    return removed;
  };
  return { ...server, stop: remove, remove, [Symbol.asyncDispose]: remove };
}

const volatileSettings = { fsync: 'off', full_page_writes: 'off', max_wal_size: '256MB', min_wal_size: '80MB' };
const memoryFolder = '/dev/shm';
const neededMemoryBytes = 2 * 1024 ** 3;

/** Linux's shared memory, if 2 GB are free there (containers often have 64 MB): copying a database is 10 times faster. */
export async function findMemoryFolder(): Promise<string> {
  const space = await statfs(memoryFolder).catch(() => null);
  return space !== null && space.bavail * space.bsize >= neededMemoryBytes ? memoryFolder : tmpdir();
}

async function sweepTemporary(parent: string): Promise<void> {
  const names = await readdir(parent);
  for (const name of names.filter((candidate) => candidate.startsWith(temporaryPrefix))) {
    const dataDir = join(await realpath(parent), name);
    const state = await readState(dataDir).catch(() => null);
    if (state === null) continue;
    const gone = await holdFolder(dataDir, async (users) => {
      if (users.count() > 0) return false;
      const directory = resolve(dataDir, state.directory);
      const abandoned = await findPostmaster(directory);
      if (abandoned !== null) await stopPostmaster(abandoned.pid, 'immediate');
      await removeDatabase(dataDir, directory);
      return true;
    }).catch(() => false);
    if (gone) await rm(dataDir, { recursive: true, force: true });
  }
}

interface Running {
  readonly pid: number;
  readonly port: number;
  readonly password: string;
  readonly superuserPassword: string;
}

function createHandle(dataDir: string, directory: string, running: Running, user: string): EmbeddedPostgres {
  let released: Promise<void> | undefined;
  const release = (remove: boolean) =>
    holdFolder(dataDir, async (users) => {
      users.remove(user);
      if (users.count() > 0) {
        if (remove) throw new Error(`the database in ${dataDir} is in use by another process`);
        return;
      }
      const server = await findPostmaster(directory);
      if (server !== null) await stopPostmaster(server.pid, remove ? 'immediate' : 'fast');
      if (remove) await removeDatabase(dataDir, directory);
    });
  const stop = () => {
    released ??= release(false);
    return released;
  };
  return {
    url: urlOf('mplp', running.password, running.port),
    superuserUrl: urlOf('postgres', running.superuserPassword, running.port),
    port: running.port,
    pid: running.pid,
    stop,
    remove() {
      released = (released ?? Promise.resolve()).then(() => release(true));
      return released;
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function createDatabase(place: Place): Promise<void> {
  const client = new pg.Client({
    connectionString: urlOf('postgres', place.state.superuserPassword, place.state.port, 'postgres'),
  });
  await client.connect();
  try {
    // The application is no superuser: extensions it may install are the trusted ones, files are out of its reach.
    await client.query(`CREATE ROLE mplp LOGIN CREATEDB PASSWORD '${place.state.password}'`);
    await client.query('CREATE DATABASE mplp OWNER mplp');
  } finally {
    await client.end();
  }
}

function urlOf(role: string, password: string, port: number, database = 'mplp'): string {
  return `postgresql://${role}:${password}@127.0.0.1:${port}/${database}`;
}
