import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { compiledFolder } from '#shared/compileCache.ts';
import { createTestDatabase } from '../support/database.ts';
import { startPlatform } from '../support/platform.ts';

/** Starts `npm start` as a supervisor does and waits for what it prints. */
async function npmStart(env: Readonly<Record<string, string>>, pattern: RegExp): Promise<ChildProcess> {
  const child = spawn('npm', ['start'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk: Buffer) => {
        output += String(chunk);
        if (pattern.test(output)) resolve();
      });
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
  });
  return child;
}

async function connectionsTo(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'mplp%'",
  );
  await client.end();
  return rows[0]!.count;
}

describe('signals', () => {
  it('to npm end the server behind it', async () => {
    await using database = await createTestDatabase('partitioned');
    const dataDir = await mkdtemp(join(tmpdir(), 'mplp-signals-'));
    const npm = await npmStart({ DATA_DIR: dataDir, DATABASE_URL: database.url }, /graph\s+http/);
    expect(await connectionsTo(database.url)).toBeGreaterThan(0);
    const exited = once(npm, 'exit');
    npm.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    expect(await connectionsTo(database.url)).toBe(0);
    await rm(dataDir, { recursive: true, force: true });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('%s twice drains once and ends in order', async (signal) => {
    await using platform = await startPlatform();
    const answers = Array.from({ length: 20 }, (_, index) =>
      platform
        .query<{ createContext: { context: { id: string } | null } }>(
          `mutation { createContext(input: { title: "s${index}", root: { domain: "signals", environment: "e" } }) { context { id } } }`,
        )
        .catch(() => null),
    );
    const exited = once(platform.gateway, 'exit');
    platform.gateway.kill(signal);
    platform.gateway.kill(signal);
    setTimeout(() => platform.gateway.kill(signal), 20);
    await Promise.all(answers);
    expect(await exited).toEqual([0, null]);
    expect(await connectionsTo(platform.databaseUrl)).toBe(0);
  });

  it('while it starts end it in order: its own database does not stay behind', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'mplp-signals-'));
    const child = spawn(process.execPath, ['gateway/main.ts'], {
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: compiledFolder, PORT: '0', DATA_DIR: dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += String(chunk);
        if (/PostgreSQL \S+ on /.test(output)) resolve();
      });
    });
    const port = Number(/ on 127\.0\.0\.1:(\d+)/.exec(output)?.[1]);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await rm(dataDir, { recursive: true, force: true });
  }, 240_000);
});

describe('a start that cannot succeed', () => {
  const start = (env: Readonly<Record<string, string>>) =>
    promisify(execFile)(process.execPath, ['gateway/main.ts'], {
      env: {
        PATH: process.env['PATH'],
        NODE_COMPILE_CACHE: compiledFolder,
        PORT: '0',
        LOG_LEVEL: 'silent',
        DATA_DIR: tmpdir(),
        ...env,
      },
    }).then(
      () => ({ code: 0, stderr: '' }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }),
    );

  it.each([
    ['a DATABASE_URL that is none', { DATABASE_URL: 'user:s3cret@db' }, /^ {2}DATABASE_URL: expected postgres:\/\//m],
    ['another database', { DATABASE_URL: 'mysql://u:s3cret@db/x' }, /^ {2}DATABASE_URL: expected postgres:\/\//m],
    ['a module without one', { DATABASE_URL_DIALOG: 's3cret' }, /^ {2}DATABASE_URL_DIALOG: expected postgres:\/\//m],
    ['a REDIS_URL that is none', { REDIS_URL: 'redis.example:6379' }, /^ {2}REDIS_URL: expected redis:\/\//m],
    [
      'a database that does not answer',
      { DATABASE_URL: 'postgres://u:s3cret@127.0.0.1:1/x' },
      /^the database is not reachable: check DATABASE_URL \(connect ECONNREFUSED 127\.0\.0\.1:1\)\n$/,
    ],
  ])('says why: %s', async (_name, env, expected) => {
    const { code, stderr } = await start(env);
    expect([code, stderr]).toEqual([1, expect.stringMatching(expected)]);
    expect(stderr).not.toMatch(/s3cret|\n\s+at /);
  });

  it('says why: a database that is not there, a port that is taken', async () => {
    await using database = await createTestDatabase('partitioned');
    const absent = new URL(database.url);
    absent.pathname = '/absent';
    expect(await start({ DATABASE_URL: absent.href })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^the database refuses us: check DATABASE_URL \(.*"absent" does not exist\)\n$/),
    });
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    expect(await start({ DATABASE_URL: database.url, PORT: String(port) })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`^port ${port} is taken: .* set PORT`)),
    });
    server.close();
  });
});
