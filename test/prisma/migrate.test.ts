import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { findDrift } from '../../prisma/drift.ts';
import { migrate, readStatus, resolveMigration } from '../../prisma/migrate.ts';
import { createScratchDatabase, type ScratchDatabase } from '../../prisma/scratch.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const schemaDir = fixture('schema');
const names = ['20260101000000_shop', '20260102000000_store'];

let database: ScratchDatabase;
let client: pg.Client;
let work: string;
/** A copy of the fixture's migrations that the test may change. */
let migrationsDir: string;

beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'mplp-migrate-test-'));
  migrationsDir = join(work, 'migrations');
  await cp(fixture('migrations'), migrationsDir, { recursive: true });
  database = await createScratchDatabase(inject('databaseUrl'));
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterEach(async () => {
  await client.end();
  await database.drop();
  await rm(work, { recursive: true, force: true });
});

async function addMigration(name: string, sql: string): Promise<string> {
  await mkdir(join(migrationsDir, name), { recursive: true });
  const file = join(migrationsDir, name, 'migration.sql');
  await writeFile(file, sql);
  return file;
}

const rows = async (sql: string) => (await client.query(sql)).rows;
const records = () =>
  rows(`SELECT migration_name AS name, finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS undone, applied_steps_count AS steps
    FROM _prisma_migrations ORDER BY started_at`);
const apply = (log?: (line: string) => void) =>
  migrate(database.url, { schemaDir, migrationsDir, ...(log === undefined ? {} : { log }) });

function spawnMigrate() {
  return spawn(process.execPath, [fixture('runMigrate.ts'), database.url, schemaDir, migrationsDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

describe('migrate', () => {
  test('applies what is pending, once, with the records Prisma keeps', async () => {
    const startedAt = performance.now();
    expect(await apply()).toEqual({ applied: names });
    const appliedAt = performance.now();
    expect(await apply()).toEqual({ applied: [] });
    console.log(
      `two migrations ${Math.round(appliedAt - startedAt)} ms, none ${Math.round(performance.now() - appliedAt)} ms`,
    );
    expect(await records()).toEqual(names.map((name) => ({ name, finished: true, undone: false, steps: 1 })));
    expect(await rows(`SELECT shop.paid('t')::int AS paid`)).toEqual([{ paid: 0 }]);
    expect(await readStatus(database.url, { migrationsDir })).toEqual({
      applied: names,
      pending: [],
      failed: [],
      edited: [],
      unknown: [],
    });
  });

  test('runs further set-up under its lock', async () => {
    await migrate(database.url, {
      schemaDir,
      migrationsDir,
      async after(url) {
        expect(url).toBe(database.url);
        expect(
          await rows(`SELECT count(*)::int AS locks FROM pg_locks WHERE locktype = 'advisory' AND objid = 4706000`),
        ).toEqual([{ locks: 1 }]);
        await client.query('CREATE TABLE further ()');
      },
    });
    expect(await rows(`SELECT to_regclass('further') IS NOT NULL AS there`)).toEqual([{ there: true }]);
  });

  test('of two processes at once takes turns', async () => {
    const processes = [spawnMigrate(), spawnMigrate()];
    const outputs = await Promise.all(
      processes.map(async (child) => {
        let output = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
        const [code] = await once(child, 'close');
        return { code, applied: JSON.parse(output) as string[] };
      }),
    );
    expect(outputs.map(({ code }) => code)).toEqual([0, 0]);
    expect(outputs.flatMap(({ applied }) => applied).sort()).toEqual(names);
    expect(await records()).toHaveLength(2);
  });

  test('names file, line and SQL error of a migration that fails, and keeps nothing of it', async () => {
    const file = await addMigration(
      '20260103000000_broken',
      'CREATE TABLE shop.first ();\n\nCREATE TABLE shop.second (\n  id nonsense\n);\n',
    );
    await expect(apply()).rejects.toThrow(
      `the migration ${file}:4 failed: type "nonsense" does not exist (SQLSTATE 42704); nothing of it was kept`,
    );
    expect(
      await rows(`SELECT to_regclass('shop.first') AS first, to_regclass('shop."order"') IS NOT NULL AS earlier`),
    ).toEqual([{ first: null, earlier: true }]);
    expect(await readStatus(database.url, { migrationsDir })).toMatchObject({
      applied: names,
      pending: ['20260103000000_broken'],
      failed: [],
    });

    await writeFile(file, 'CREATE TABLE shop.first ();\n');
    expect(await apply()).toEqual({ applied: ['20260103000000_broken'] });
    expect((await records()).slice(2)).toEqual([
      { name: '20260103000000_broken', finished: false, undone: true, steps: 0 },
      { name: '20260103000000_broken', finished: true, undone: false, steps: 1 },
    ]);
  });

  test('whose process is killed has happened or has not', async () => {
    await addMigration(
      '20260103000000_slow',
      'CREATE TABLE shop.slow ();\nSELECT pg_sleep(1.5);\nCREATE TABLE shop.slower ();\n',
    );
    const child = spawnMigrate();
    const asleep = `SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`;
    while ((await rows(asleep)).length === 0) await sleep(10);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // The server still runs the script: the next process waits for its end instead of starting it a second time.
    const lines: string[] = [];
    const { applied } = await apply((line) => lines.push(line));
    expect(lines[0]).toBe('waiting for another process that migrates this database');
    expect(applied).toEqual([]);
    expect((await records()).filter(({ finished }) => finished)).toHaveLength(3);
    expect(await rows(`SELECT to_regclass('shop.slower') IS NOT NULL AS there`)).toEqual([{ there: true }]);
  });

  test('whose server is killed is applied again', async () => {
    await addMigration('20260103000000_slow', 'CREATE TABLE shop.slow ();\nSELECT pg_sleep(60);\n');
    const child = spawnMigrate();
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    while (
      (await rows(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`))
        .length === 0
    )
      await sleep(10);
    child.kill('SIGKILL');
    await client.query(cut);
    await addMigration('20260103000000_slow', 'CREATE TABLE shop.slow ();\n');
    const lines: string[] = [];
    expect((await apply((line) => lines.push(line))).applied).toEqual(['20260103000000_slow']);
    expect(lines).toContain('20260103000000_slow was interrupted and undone: applying it again');
  });

  test('runs CREATE INDEX CONCURRENTLY by itself, and asks for a hand when it fails', async () => {
    await addMigration('20260103000000_index', 'CREATE INDEX CONCURRENTLY order_note_idx ON shop."order" (note);\n');
    expect((await apply()).applied).toContain('20260103000000_index');
    await addMigration('20260104000000_again', 'CREATE INDEX CONCURRENTLY order_note_idx ON shop."order" (note);\n');
    await expect(apply()).rejects.toThrow(/already exists/);
    await expect(apply()).rejects.toThrow(/resolve applied\|rolled-back 20260104000000_again/);
    await resolveMigration(database.url, '20260104000000_again', 'rolled-back');
    await addMigration('20260104000000_again', 'SELECT 1;\n');
    expect((await apply()).applied).toEqual(['20260104000000_again']);
  });

  test('tells of migrations that were changed afterwards or are unknown', async () => {
    await apply();
    await addMigration(
      names[0]!,
      `${await readFile(join(migrationsDir, names[0]!, 'migration.sql'), 'utf8')}\n-- changed\n`,
    );
    await rm(join(migrationsDir, names[1]!), { recursive: true });
    expect(await readStatus(database.url, { migrationsDir })).toEqual({
      applied: [names[0]],
      pending: [],
      failed: [],
      edited: [names[0]],
      unknown: [names[1]],
    });
  });
});

describe('drift', () => {
  test('there is none where only Prisma cannot say it: partitions, checks, generated columns, functions', async () => {
    expect(await findDrift(inject('databaseUrl'), { schemaDir, migrationsDir })).toBeNull();
  });

  test('is told in words and in SQL that ends it', async () => {
    const models = join(work, 'schema');
    await cp(schemaDir, models, { recursive: true });
    const file = join(models, 'models/store.prisma');
    await writeFile(
      file,
      (await readFile(file, 'utf8')).replace(
        '  amount    Int\n',
        '  amount    Int\n  unit      String   @default("EUR")\n',
      ),
    );
    const drift = await findDrift(inject('databaseUrl'), { schemaDir: models, migrationsDir });
    expect(drift?.summary).toMatch(/Changed the `movement` table\s+\[\+\] Added column `unit`/);
    expect(drift?.sql).toContain(`ALTER TABLE "store"."movement" ADD COLUMN     "unit" TEXT NOT NULL DEFAULT 'EUR';`);
    await addMigration('20260103000000_unit', drift?.sql ?? '');
    expect(await findDrift(inject('databaseUrl'), { schemaDir: models, migrationsDir })).toBeNull();
  });
});

describe('the command line', () => {
  const command = (...args: string[]) =>
    promisify(execFile)(
      process.execPath,
      [fileURLToPath(new URL('../../prisma/migrate.ts', import.meta.url)), ...args, '--schema', join(work, 'plain')],
      {
        env: { ...process.env, DATABASE_URL: database.url },
      },
    ).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        stdout: error.stdout,
        stderr: error.stderr,
      }),
    );

  test('writes the first migration from the models, checks and deploys it', async () => {
    // Prisma writes a generated column as a default, which PostgreSQL refuses: such a draft needs its author.
    const models = join(work, 'plain');
    await cp(schemaDir, models, { recursive: true });
    await rm(join(models, 'models/shop.prisma'));
    const folder = join(work, 'new');
    expect(await command('check', '--migrations', folder)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[+] Added tables'),
    });
    expect(await command('new', 'first', '--migrations', folder)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('_first/migration.sql'),
    });
    expect((await readdir(folder)).sort()).toEqual([expect.stringMatching(/^\d{14}_first$/), 'migration_lock.toml']);
    expect(await command('check', '--migrations', folder)).toMatchObject({ code: 0, stderr: '' });
    expect(await command('deploy', '--migrations', folder)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 applied'),
      stderr: '',
    });
    expect(await command('status', '--migrations', folder)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^applied +\d{14}_first\n$/),
    });
    expect(await command('undo')).toMatchObject({ code: 2, stderr: expect.stringContaining('unknown command "undo"') });
  });
});
