import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Migration, readLockFile, readMigrations, readSchemaFiles } from './migrationFiles.ts';
import { lineOf, runsOutsideTransaction } from './migrationScript.ts';
import { noFilters, openSchemaEngine, type ScriptRunner } from './schemaEngine.ts';

export interface SchemaFolders {
  /** Folder of the .prisma files. @default prisma/ of the project */
  readonly schemaDir?: string;
  /** @default prisma/migrations of the project */
  readonly migrationsDir?: string;
}

export interface MigrateOptions extends SchemaFolders {
  readonly log?: (line: string) => void;
  /** Further set-up under the same lock, such as the job queue's own migrations. */
  readonly after?: (url: string) => Promise<void>;
}

export interface MigrationStatus {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Neither finished nor rolled back. */
  readonly failed: readonly string[];
  /** Changed on disk after they were applied. */
  readonly edited: readonly string[];
  /** Applied by a newer version, unknown here. */
  readonly unknown: readonly string[];
}

// Ours waits as long as it takes, and guards what comes before and after the engine's work.
const lockKey = 4_706_000;
// The engine's own, on which it gives up after 10 s. It outlives a killed process while the server still runs its script.
const engineLockKey = 72_707_369;

export function foldersOf(folders: SchemaFolders): Required<SchemaFolders> {
  const schemaDir = folders.schemaDir ?? fileURLToPath(new URL('.', import.meta.url));
  return { schemaDir, migrationsDir: folders.migrationsDir ?? fileURLToPath(new URL('./migrations', import.meta.url)) };
}

/**
 * Applies what is pending; processes that start at the same time take turns. Each script runs in one transaction with
 * its own record in `_prisma_migrations`, so a migration has happened or it has not, also when the process is killed.
 * @throws {Error} naming file, line and SQL error of a migration that fails.
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<{ applied: string[] }> {
  const log = options.log ?? (() => {});
  const { schemaDir, migrationsDir } = foldersOf(options);
  const migrations = await readMigrations(migrationsDir);
  return withMigrationLock(url, log, async (client) => {
    await settleKilled(client, migrations, log);
    const status = compare(migrations, await readRecords(client));
    for (const name of status.edited)
      log(`the migration ${name} was changed after it was applied: write a new one instead`);
    for (const name of status.unknown) log(`the database has a migration this version does not know: ${name}`);
    if (status.failed.length > 0) {
      throw new Error(
        `the migration ${status.failed[0]} failed half-way, because it runs outside a transaction: put the database right by hand, then run "prisma/migrate.ts resolve applied|rolled-back ${status.failed[0]}".`,
      );
    }
    // Loading the engine costs time and memory, and most starts find nothing to do.
    const applied =
      status.pending.length === 0 ? [] : await applyPending(url, { client, migrations, migrationsDir, schemaDir });
    for (const name of applied) log(`applied ${name}`);
    await options.after?.(url);
    return { applied };
  });
}

/** What the database has against what the folder holds. */
export async function readStatus(url: string, folders: SchemaFolders = {}): Promise<MigrationStatus> {
  const migrations = await readMigrations(foldersOf(folders).migrationsDir);
  const client = await connect(url);
  try {
    return compare(migrations, await readRecords(client));
  } finally {
    await client.end();
  }
}

/** Settles by hand a migration that failed outside a transaction. */
export async function resolveMigration(url: string, name: string, as: 'applied' | 'rolled-back'): Promise<void> {
  await withMigrationLock(
    url,
    () => {},
    async (client) => {
      const column = as === 'applied' ? 'finished_at' : 'rolled_back_at';
      const { rowCount } = await client.query(
        `UPDATE _prisma_migrations SET ${column} = now() WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL`,
        [name],
      );
      if (rowCount === 0) throw new Error(`no failed migration is named ${name}`);
    },
  );
}

interface MigrationRecord {
  readonly migration_name: string;
  readonly checksum: string;
  readonly finished: boolean;
}

function compare(migrations: readonly Migration[], records: readonly MigrationRecord[]): MigrationStatus {
  const finished = new Map(
    records.filter((record) => record.finished).map((record) => [record.migration_name, record]),
  );
  const known = new Set(migrations.map((migration) => migration.name));
  return {
    applied: migrations.filter(({ name }) => finished.has(name)).map(({ name }) => name),
    pending: migrations.filter(({ name }) => !finished.has(name)).map(({ name }) => name),
    failed: records.filter((record) => !record.finished).map((record) => record.migration_name),
    edited: migrations
      .filter(({ name, checksum }) => finished.has(name) && finished.get(name)?.checksum !== checksum)
      .map(({ name }) => name),
    unknown: [...finished.keys()].filter((name) => !known.has(name)),
  };
}

async function readRecords(client: pg.Client): Promise<MigrationRecord[]> {
  if (!(await hasRecords(client))) return [];
  const { rows } = await client.query<MigrationRecord>(
    'SELECT migration_name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at',
  );
  return rows;
}

async function hasRecords(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`,
  );
  return rows[0]?.found === true;
}

/** A record without an end belongs to a process that was killed: its transaction, and so its script, was undone. */
async function settleKilled(
  client: pg.Client,
  migrations: readonly Migration[],
  log: (line: string) => void,
): Promise<void> {
  if (!(await hasRecords(client))) return;
  const undone = migrations.filter(({ sql }) => !runsOutsideTransaction(sql)).map(({ name }) => name);
  const { rows } = await client.query<{ migration_name: string }>(
    `UPDATE _prisma_migrations SET rolled_back_at = now()
      WHERE finished_at IS NULL AND rolled_back_at IS NULL AND migration_name = ANY ($1) RETURNING migration_name`,
    [undone],
  );
  for (const row of rows) log(`${row.migration_name} was interrupted and undone: applying it again`);
}

interface Application extends Required<SchemaFolders> {
  readonly client: pg.Client;
  readonly migrations: readonly Migration[];
}

async function applyPending(
  url: string,
  { client, migrations, migrationsDir, schemaDir }: Application,
): Promise<string[]> {
  let failure: { migration: Migration | undefined; error: unknown } | undefined;
  const runScript: ScriptRunner = async (query, script) => {
    const migration = migrations.find(({ sql }) => sql === script);
    const alone = migration === undefined || runsOutsideTransaction(script);
    try {
      // A script sent as one message is one transaction: its record ends in the same one.
      await query(alone ? script : `${script}\n;${await finishStatement(client, migration.name)}`);
    } catch (error) {
      failure = { migration, error };
      throw error;
    }
  };
  const files = await readSchemaFiles(schemaDir);
  await using opened = await openSchemaEngine(url, files, runScript);
  try {
    const result = await opened.engine.applyMigrations({
      filters: noFilters,
      migrationsList: {
        baseDir: migrationsDir,
        lockfile: { path: 'migration_lock.toml', content: await readLockFile(migrationsDir) },
        shadowDbInitScript: '',
        migrationDirectories: migrations.map(({ name, sql }) => ({
          path: name,
          migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
        })),
      },
    });
    return result.appliedMigrationNames;
  } catch (error) {
    if (failure?.migration === undefined) throw error;
    await settleKilled(client, migrations, () => {});
    throw new Error(describeFailure(failure.migration, failure.error), { cause: failure.error });
  }
}

async function finishStatement(client: pg.Client, name: string): Promise<string> {
  // The script may have changed search_path, so the table is named with its schema.
  const { rows } = await client.query<{ schema: string }>(
    `SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('_prisma_migrations')`,
  );
  const table = `${pg.escapeIdentifier(rows[0]?.schema ?? 'public')}._prisma_migrations`;
  return `UPDATE ${table} SET finished_at = now() WHERE migration_name = ${pg.escapeLiteral(name)} AND finished_at IS NULL AND rolled_back_at IS NULL`;
}

function describeFailure(migration: Migration, error: unknown): string {
  if (!(error instanceof pg.DatabaseError))
    return `the migration ${migration.file} failed: ${error instanceof Error ? error.message : String(error)}`;
  const line = error.position === undefined ? '' : `:${lineOf(migration.sql, Number(error.position))}`;
  const more = [error.detail, error.hint].filter((text) => text !== undefined).map((text) => `\n  ${text}`);
  const left = runsOutsideTransaction(migration.sql) ? '' : '; nothing of it was kept';
  return `the migration ${migration.file}${line} failed: ${error.message} (SQLSTATE ${error.code})${left}${more.join('')}`;
}

async function withMigrationLock<T>(
  url: string,
  log: (line: string) => void,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(url);
  try {
    for (const key of [lockKey, engineLockKey]) {
      const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [key]);
      if (rows[0]?.locked === true) continue;
      log('waiting for another process that migrates this database');
      await client.query('SELECT pg_advisory_lock($1)', [key]);
    }
    await client.query('SELECT pg_advisory_unlock($1)', [engineLockKey]);
    return await work(client);
  } finally {
    await client.end();
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'mplp-migrate',
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', () => {});
  await client.connect();
  await client.query('SET statement_timeout = 0');
  return client;
}

// Not awaited: the commands import this file, and wait for it.
if (import.meta.main)
  void import('./migrateCommands.ts').then(({ runMigrateCommand }) => runMigrateCommand(process.argv.slice(2)));
