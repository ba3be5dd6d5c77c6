import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readConfig } from '#shared/config.ts';
import { mintToken } from '../../gateway/auth/mintToken.ts';
import { developmentKeyDir, loadDevelopmentKey } from '../../gateway/auth/signingKey.ts';
import { readState, removeDatabase } from '../../prisma/embedded/folders.ts';
import { readParent } from '../processCpu.ts';
import { perfProfile } from '../profile.ts';
import { startServerProcess } from '../serverProcess.ts';
import type { Caller } from './client.ts';

export interface PlatformOptions {
  readonly url: string | undefined;
  readonly dataDir: string | undefined;
  readonly tenant: string;
}

export interface DemoPlatform {
  readonly url: string;
  readonly wsUrl: string;
  /** Processes to watch, where the demo started them. */
  readonly pids: { readonly server?: number; readonly postmaster?: number };
  /** What is to be said of it, line by line. */
  readonly notes: readonly string[];
  /** Signs in with a token of its own, as long as the demo may take. */
  signIn(subject: string, role: string, subjectType?: 'agent' | 'human' | 'service'): Promise<Caller>;
  /** When the COMMIT of each event returned to the server, monotonic ms by cursor; null where the demo did not start it. */
  takeCommits(): Promise<ReadonlyMap<string, number> | null>;
  close(): Promise<void>;
}

const tokenLifeSeconds = 3_600;

/** The PostgreSQL that a server has started as its child; undefined where /proc does not tell. */
function findPostmaster(serverPid: number): number | undefined {
  if (!existsSync('/proc/self/stat')) return undefined;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && readParent(Number(name)) === serverPid)
    .map(Number)
    .find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres';
      } catch {
        return false;
      }
    });
}

function createSignIn(dataDir: string, tenant: string): DemoPlatform['signIn'] {
  const config = readConfig({ ...process.env, DATA_DIR: dataDir });
  const issuer = {
    key: loadDevelopmentKey(developmentKeyDir(config.dataDir)),
    issuer: config.AUTH_ISSUER,
    audience: config.AUTH_AUDIENCE,
  };
  return async (subject, role, subjectType = 'agent') => {
    const request = { tenant, subject, subjectType, roles: [role], ttlSeconds: tokenLifeSeconds };
    return { authorization: `Bearer ${await mintToken(request, issuer)}` };
  };
}

/** Uses the platform at `url`. @throws {Error} when its keys are not at hand */
function joinPlatform(url: string, { dataDir = '.data', tenant }: PlatformOptions): DemoPlatform {
  const endpoint = new URL(url);
  if (endpoint.pathname === '/') endpoint.pathname = '/graphql';
  const keys = developmentKeyDir(resolve(dataDir));
  if (!existsSync(keys))
    throw new Error(`no development key in ${keys}: name the DATA_DIR of the platform with --data-dir`);
  return {
    url: endpoint.href,
    wsUrl: endpoint.href.replace(/^http/, 'ws'),
    pids: {},
    notes: [`platform: ${endpoint.href}, with the quotas it was started with`],
    signIn: createSignIn(dataDir, tenant),
    takeCommits: async () => null,
    close: async () => {},
  };
}

/** Starts a platform from nothing. @throws {Error} with the server's own words when it does not start */
async function startPlatform({ dataDir, tenant }: PlatformOptions): Promise<DemoPlatform> {
  const folder = dataDir === undefined ? await mkdtemp(join(tmpdir(), 'mplp-demo-')) : resolve(dataDir);
  const logFile = join(folder, 'demo.log');
  async function discard(): Promise<void> {
    if (dataDir !== undefined) return;
    // The database lies elsewhere where PostgreSQL's account cannot enter the folder.
    const state = await readState(folder);
    if (state !== null) await removeDatabase(folder, resolve(folder, state.directory));
    await rm(folder, { recursive: true, force: true });
  }
  try {
    const server = await startServerProcess({ dataDir: folder, logFile, env: perfProfile, commitClock: true });
    const quotas = Object.entries(perfProfile).map(([name, value]) => `${name}=${value}`);
    const database = process.env['DATABASE_URL'] ? 'the PostgreSQL of DATABASE_URL' : 'embedded PostgreSQL';
    const postmaster = findPostmaster(server.pid);
    return {
      url: server.url,
      wsUrl: server.wsUrl,
      pids: { server: server.pid, ...(postmaster === undefined ? {} : { postmaster }) },
      notes: [
        `platform: ${server.url}, ${database}, ready after ${(server.readyAfterMs / 1000).toFixed(1)} s`,
        `quotas are raised: ${quotas.join(' ')}`,
      ],
      signIn: createSignIn(folder, tenant),
      takeCommits: () => server.takeCommits(),
      async close() {
        await server.stop();
        await discard();
      },
    };
  } catch (cause) {
    const words = (await readFile(logFile, 'utf8').catch(() => '')).trim().slice(-2_000);
    await discard();
    throw new Error(`the platform did not start${words === '' ? '' : `:\n${words}`}`, { cause });
  }
}

export async function openPlatform(options: PlatformOptions): Promise<DemoPlatform> {
  return options.url === undefined ? await startPlatform(options) : joinPlatform(options.url, options);
}
