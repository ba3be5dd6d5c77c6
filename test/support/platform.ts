import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiledFolder } from '#shared/compileCache.ts';
import { mintToken, type TokenRequest } from '../../gateway/auth/mintToken.ts';
import { developmentKeyDir, loadDevelopmentKey } from '../../gateway/auth/signingKey.ts';
import { createPlatformHosts, type PlatformHosts, type Script } from '../../perf/platformHosts.ts';
import { shortRunFlags } from '../../perf/shortRuns.ts';
import { spawnWatched } from '../../perf/watchedProcess.ts';
import { type SubgraphName, subgraphNames } from '../../subgraphs/names.ts';

export type Mode = 'one process' | 'distributed';
export const modes: readonly Mode[] = ['one process', 'distributed'];

export function isMode(text: string): text is Mode {
  return (modes as readonly string[]).includes(text);
}

export interface GraphQLAnswer<Data = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Data | null;
  readonly errors: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: { readonly code: string } & Record<string, unknown>;
  }[];
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** A running platform as a client sees it. */
export interface Platform extends AsyncDisposable {
  readonly url: string;
  readonly databaseUrl: string;
  token(request: Partial<TokenRequest>): Promise<string>;
  /** Sends an operation, by default as the development principal. */
  query<Data = Record<string, unknown>>(
    document: string,
    variables?: Readonly<Record<string, unknown>>,
    options?: { readonly token?: string; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<GraphQLAnswer<Data>>;
  /** Ends every process as an operator would and waits; one that is shared goes on for the others. */
  close(): Promise<void>;
}

/** A platform with settings and a database of the test's own. */
export interface HostedPlatform extends Platform {
  readonly dataDir: string;
  /** Output of all processes so far. */
  readonly output: () => string;
}

/** A platform of processes of the test's own: it may do to them what it likes. */
export interface OwnPlatform extends HostedPlatform {
  /** Process of the gateway; in one-process mode of everything. */
  readonly gateway: ChildProcess;
}

export interface PlatformOptions {
  readonly mode?: Mode;
  /** By default a database of its own on the run's server. */
  readonly databaseUrl?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly dataDir?: string;
  /** What each process of a distributed platform serves. @default three processes, neighbours in the spec apart */
  readonly processes?: readonly (readonly SubgraphName[])[];
}

// A process more is two seconds of two cores at each start; what crosses processes crosses these.
const threeProcesses: readonly (readonly SubgraphName[])[] = [
  ['context', 'plan'],
  ['dialog', 'network', 'role', 'trace'],
  ['collab', 'confirm', 'core', 'extension', 'platform'],
];

export const everyModuleItsProcess: readonly (readonly SubgraphName[])[] = subgraphNames.map((name) => [name]);

/** Starts the platform as a user would, in processes that end with it, on free ports. */
export async function startPlatform(options: PlatformOptions = {}): Promise<OwnPlatform> {
  let gateway: ChildProcess | undefined;
  const platform = await openPlatform(options, (script, env, onOutput) => {
    const launched = launchProcess(script, env, readyPatterns[script], onOutput);
    if (script === 'gateway/main.ts') gateway = launched.child;
    return { ...launched, stop: () => stop(launched.child) };
  });
  return { ...platform, gateway: gateway! };
}

/**
 * The same, where a test wants the settings, the database or a second instance for itself but not the processes: each of
 * these has run others before and is kept for the next, which is most of what a start costs.
 */
export function hostPlatform(options: PlatformOptions = {}): Promise<HostedPlatform> {
  return openPlatform(options, hosts.start);
}

/** Of this worker, from file to file. */
const hosts = createPlatformHosts();

const readyPatterns: Readonly<Record<Script, RegExp>> = {
  'gateway/main.ts': /graph\s+(http\S+)\/graphql/,
  'subgraphs/main.ts': /^(\w+=http\S+)$/m,
};

async function openPlatform(options: PlatformOptions, run: PlatformHosts['start']): Promise<HostedPlatform> {
  const own = new AsyncDisposableStack();
  try {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'mplp-platform-')));
    if (options.dataDir === undefined) own.defer(() => rm(dataDir, { recursive: true, force: true }));
    let databaseUrl = options.databaseUrl;
    if (databaseUrl === undefined) {
      const { createTestDatabase } = await import('./database.ts');
      const database = await createTestDatabase('partitioned');
      own.defer(() => database.drop());
      databaseUrl = database.url;
    }
    const common = {
      PORT: '0',
      DATA_DIR: dataDir,
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'warn',
      DATABASE_POOL: '4',
      DATABASE_PRISMA_POOL: '2',
      // What tests spend in a window is not what people do; test/e2e/limits sets rates of its own.
      RATE_LIMIT_SUBJECT: '1000000000',
      RATE_LIMIT_ADDRESS: '1000000000',
      ...options.env,
    };
    const outputs: string[] = [];
    const launch = (script: Script, env: Readonly<Record<string, string>>) => {
      const process_ = run(script, { ...common, ...env }, (text) => outputs.push(text));
      own.defer(() => process_.stop());
      return process_;
    };
    let subgraphUrls: Record<string, string> = {};
    if (options.mode === 'distributed') {
      // The gateway's port has to be known to the subgraphs before the gateway is there.
      const port = String(await freePort());
      const groups = (options.processes ?? threeProcesses).map((names) =>
        launch('subgraphs/main.ts', {
          SUBGRAPHS: names.join(','),
          SUBGRAPH_PORT: '0',
          GATEWAY_URL: `http://127.0.0.1:${port}/graphql`,
        }),
      );
      const urls = (await Promise.all(groups.map((group) => group.ready))).join(',');
      subgraphUrls = { SUBGRAPH_URLS: urls, PORT: port };
    }
    const url = await launch('gateway/main.ts', subgraphUrls).ready;
    const running = own.move();
    return {
      ...clientOf({ url, databaseUrl, dataDir }, (tenant) => tenant),
      dataDir,
      output: () => outputs.join(''),
      close: () => running.disposeAsync(),
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  } finally {
    await own.disposeAsync();
  }
}

export interface PlatformAddress {
  readonly url: string;
  readonly databaseUrl: string;
  readonly dataDir: string;
}

/**
 * The run's own platform of this mode, started by the first test file that asks; to be closed when the test is through.
 * Tokens are for tenants of this call alone, so files do not meet; the development principal's tenant is everybody's.
 */
export async function sharePlatform({ mode }: { readonly mode: Mode }): Promise<Platform> {
  const { expect, inject } = await import('vitest');
  const shared = new URL(`/${encodeURIComponent(mode)}`, inject('sharedPlatforms'));
  shared.searchParams.set('by', expect.getState().testPath!);
  const response = await fetch(shared);
  if (!response.ok) throw new Error(`the shared platform did not start: ${await response.text()}`);
  const prefix = randomBytes(4).toString('hex');
  let given: Promise<void> | undefined;
  const giveBack = () => {
    given ??= fetch(shared, { method: 'DELETE' }).then(() => {});
    return given;
  };
  return {
    ...clientOf((await response.json()) as PlatformAddress, (tenant) => `${prefix}-${tenant}`),
    close: giveBack,
    [Symbol.asyncDispose]: giveBack,
  };
}

export function clientOf(
  { url, databaseUrl, dataDir }: PlatformAddress,
  tenantOf: (name: string) => string,
): Pick<Platform, 'url' | 'databaseUrl' | 'token' | 'query'> {
  const key = loadDevelopmentKey(developmentKeyDir(dataDir));
  return {
    url,
    databaseUrl,
    token: ({ tenant = 'demo', ...request }) =>
      mintToken(
        { tenant: tenantOf(tenant), subject: 'someone', roles: ['member'], ttlSeconds: 3_600, acr: 'mfa', ...request },
        { key, issuer: 'mplp-development', audience: 'mplp-graph' },
      ),
    async query<Data>(
      document: string,
      variables: Readonly<Record<string, unknown>> = {},
      { token, headers }: { readonly token?: string; readonly headers?: Readonly<Record<string, string>> } = {},
    ) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        body: JSON.stringify({ query: document, variables }),
      });
      const body = (await response.json()) as Partial<GraphQLAnswer<Data>>;
      return {
        status: response.status,
        headers: response.headers,
        data: body.data ?? null,
        errors: body.errors ?? [],
        extensions: body.extensions ?? {},
      };
    },
  };
}

interface Launched {
  readonly child: ChildProcess;
  /** First group of the pattern in what the process prints. */
  readonly ready: Promise<string>;
}

export function launchProcess(
  script: string,
  env: Readonly<Record<string, string | undefined>>,
  pattern: RegExp,
  onOutput: (text: string) => void,
): Launched {
  // Without compiled modules a start would load the stripper of types.
  const child = spawnWatched(process.execPath, [...shortRunFlags, script], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: compiledFolder, ...env },
  });
  let output = '';
  const ready = new Promise<string>((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      const text = chunk.toString('utf8');
      output += text;
      onOutput(text);
      const match = pattern.exec(output);
      if (match) resolve(match[1]!);
    };
    child.stdout!.on('data', onData);
    child.stderr!.on('data', onData);
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code} before it was ready:\n${output}`)));
    child.once('error', reject);
  });
  return { child, ready };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
