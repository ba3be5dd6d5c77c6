import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One folder of prisma/migrations. */
export interface Migration {
  /** Folder name: a timestamp and what it does. */
  readonly name: string;
  readonly file: string;
  readonly sql: string;
  /** SHA-256 of the file, as `_prisma_migrations` keeps it. */
  readonly checksum: string;
}

export interface SchemaFile {
  readonly path: string;
  readonly content: string;
}

const lockFile = 'migration_lock.toml';
const lockText = '# Written by prisma/migrate.ts; Prisma reads it.\nprovider = "postgresql"\n';

/** All migrations in the order they apply; none when the folder is absent. */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const file = join(folder, name, 'migration.sql');
      const sql = await readFile(file, 'utf8').catch((cause: unknown) => {
        throw new Error(`the migration ${name} has no readable migration.sql`, { cause });
      });
      return { name, file, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

export async function readLockFile(folder: string): Promise<string | null> {
  return readFile(join(folder, lockFile), 'utf8').catch(() => null);
}

/**
 * Writes a migration folder named for now and the given words; the SQL is a draft for its author.
 * @throws {Error} when the name holds something else than letters, digits, `_` and `-`.
 */
export async function writeMigration(folder: string, name: string, sql: string): Promise<string> {
  if (!/^[a-z0-9][a-z0-9_-]*$/i.test(name))
    throw new Error(`a migration is named in letters, digits, "_" and "-", got "${name}"`);
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const directory = join(folder, `${timestamp}_${name}`);
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'migration.sql');
  await writeFile(file, sql, { flag: 'wx' });
  if ((await readLockFile(folder)) === null) await writeFile(join(folder, lockFile), lockText);
  return file;
}

/** Every .prisma file below the folder, in a fixed order. */
export async function readSchemaFiles(folder: string): Promise<SchemaFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.prisma'))
    .map((entry) => join(entry.parentPath, entry.name));
  if (paths.length === 0) throw new Error(`no .prisma file in ${folder}`);
  return Promise.all(paths.sort().map(async (path) => ({ path, content: await readFile(path, 'utf8') })));
}
