import { createHash, randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { type Account, chooseAccount } from './account.ts';
import { type Binaries, copyBinaries, copyOf, findBinaries, tryBinary, tryFolder } from './binaries.ts';
import { findPostmaster, stopPostmaster } from './processes.ts';

/** Where databases lie whose project folder the server's account cannot enter. */
const sharedHome = '/var/tmp/mplp-graph';

/** What the data folder remembers of its server: postgres.json, readable by its owner only. */
export interface ServerState {
  /** PGDATA; relative to the data folder when it lies inside. */
  readonly directory: string;
  /** The data folder this was written for: a copied folder must not take over the original's server. */
  readonly dataDir: string;
  readonly port: number;
  readonly password: string;
  readonly superuserPassword: string;
  /** False until initdb has ended. */
  readonly initialized: boolean;
}

export interface Place {
  readonly account: Account;
  readonly binaries: Binaries;
  /** PGDATA, absolute. */
  readonly directory: string;
  readonly state: ServerState;
}

/** Makes the data folder and lets the server's account pass through it; file names inside stay hidden. */
export async function prepareDataDir(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const { uid, mode } = await stat(dataDir);
  if (uid === process.getuid?.() && uid === 0) await chmod(dataDir, (mode & 0o7777) | 0o011);
  return realpath(dataDir);
}

/**
 * Decides which account runs which binaries on which folder, and makes the folder.
 * @throws {Error} when the account can reach neither the binaries nor a folder, or when the password is lost.
 */
export async function choosePlace(dataDir: string, log: (line: string) => void): Promise<Place> {
  const found = await findBinaries();
  const known = await readState(dataDir);
  const kept = known === null ? null : await keptFolder(dataDir, known, log);
  const inside = join(dataDir, 'postgres');
  const account = await chooseAccount(await ownerOf(kept ?? inside));
  const asRoot = account.identity.uid !== undefined;
  const binaries = asRoot ? await reachableBinaries(found, account, log) : found;

  if (known !== null && kept !== null) {
    if (asRoot) {
      const trial = await tryFolder(kept, account);
      if (!trial.ok)
        throw new Error(`the account ${account.name}, which runs PostgreSQL, cannot enter ${kept}: ${trial.reason}`);
    }
    return { account, binaries, directory: kept, state: known };
  }

  if ((await listing(inside)).length > 0) {
    throw new Error(
      `${inside} holds a database, but ${stateFile(dataDir)} with its password is gone: bring it back, or delete ${inside}.`,
    );
  }
  let directory = inside;
  await giveFolder(inside, account);
  if (asRoot && !(await tryFolder(inside, account)).ok) {
    await rmdir(inside);
    directory = join(
      await openSharedHome(),
      createHash('sha256').update(dataDir).digest('hex').slice(0, 16),
      'postgres',
    );
    await discard(directory, log);
    await mkdir(join(directory, '..'), { recursive: true, mode: 0o711 });
    await giveFolder(directory, account);
    log(`the account ${account.name} cannot enter ${dataDir}: the database lies in ${directory}`);
  }
  const state: ServerState = {
    directory: directory === inside ? 'postgres' : directory,
    dataDir,
    port: 0,
    password: randomBytes(24).toString('hex'),
    superuserPassword: randomBytes(24).toString('hex'),
    initialized: false,
  };
  await writeState(dataDir, state);
  return { account, binaries, directory, state };
}

export async function writeState(dataDir: string, state: ServerState): Promise<void> {
  const file = stateFile(dataDir);
  await writeFile(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}

/** Deletes the database of a data folder and what the folder knew of it; its server must be stopped. */
export async function removeDatabase(dataDir: string, directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  const outside = relative(dataDir, directory);
  if (outside.startsWith('..') || isAbsolute(outside))
    await rm(join(directory, '..'), { recursive: true, force: true });
  for (const name of ['postgres.json', 'postgres.log']) await rm(join(dataDir, name), { force: true });
}

export async function readState(dataDir: string): Promise<ServerState | null> {
  const text = await readFile(stateFile(dataDir), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return text === null ? null : (JSON.parse(text) as ServerState);
}

function stateFile(dataDir: string): string {
  return join(dataDir, 'postgres.json');
}

/** The database folder the state names, where it is still ours; null when a new one is due. */
async function keptFolder(dataDir: string, state: ServerState, log: (line: string) => void): Promise<string | null> {
  const outside = isAbsolute(state.directory);
  const directory = outside ? state.directory : join(dataDir, state.directory);
  if (outside && state.dataDir !== dataDir && (await readState(state.dataDir).catch(() => null)) !== null) {
    log(`${dataDir} is a copy of ${state.dataDir}, which keeps its database: this folder gets one of its own`);
    return null;
  }
  if (!state.initialized) {
    await discard(directory, log);
    return null;
  }
  if ((await listing(directory)).length === 0) {
    log(`the database in ${directory} is gone: starting with an empty one`);
    return null;
  }
  return directory;
}

/** Removes a half-made database, or one whose data folder was deleted, with the server it may still have. */
async function discard(directory: string, log: (line: string) => void): Promise<void> {
  if ((await listing(directory)).length === 0) return;
  const running = await findPostmaster(directory);
  if (running !== null) await stopPostmaster(running.pid);
  log(`removing the unfinished or abandoned database in ${directory}`);
  await rm(directory, { recursive: true, force: true });
}

async function reachableBinaries(found: Binaries, account: Account, log: (line: string) => void): Promise<Binaries> {
  if ((await tryBinary(found.postgres, account)).ok) return found;
  const home = await openSharedHome();
  const copied = copyOf(found, home);
  if ((await tryBinary(copied.postgres, account)).ok) return copied;
  // Not copied yet, or a cleaner of temporary files has been there.
  await copyBinaries(found, home);
  const trial = await tryBinary(copied.postgres, account);
  if (!trial.ok) {
    throw new Error(
      `the bundled PostgreSQL does not run here (${trial.reason}): set DATABASE_URL to a PostgreSQL 15 or newer.`,
    );
  }
  log(`the account ${account.name} cannot enter ${found.root}: PostgreSQL runs from ${copied.root}`);
  return copied;
}

/** The folder under /var/tmp, refused when somebody else could have put something there: root runs what lies in it. */
async function openSharedHome(): Promise<string> {
  await mkdir(sharedHome, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const { uid, mode } = await lstat(sharedHome);
  if (!(await lstat(sharedHome)).isDirectory() || uid !== 0 || (mode & 0o022) !== 0) {
    throw new Error(`${sharedHome} is not a folder that only root can write: remove it, or set DATABASE_URL.`);
  }
  await chmod(sharedHome, 0o755);
  return sharedHome;
}

async function giveFolder(folder: string, account: Account): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { uid, gid } = account.identity;
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
}

async function ownerOf(folder: string): Promise<number | null> {
  return stat(folder).then(
    (found) => found.uid,
    () => null,
  );
}

function listing(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
