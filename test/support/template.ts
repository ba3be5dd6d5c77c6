import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runMigrations } from 'graphile-worker';
import pg from 'pg';
import { compiledFolder } from '#shared/compileCache.ts';
import { shortRunFlags } from '../../perf/shortRuns.ts';
import { foldersOf, migrate } from '../../prisma/migrate.ts';
import { readMigrations } from '../../prisma/migrationFiles.ts';
import { createScratchDatabase, runAdmin } from '../../prisma/scratch.ts';

// The job queue's own migrations come with its package: another version is another template.
const jobQueueManifest = new URL('../../node_modules/graphile-worker/package.json', import.meta.url);
const lockKey = 4_706_002;

/** Databases that test databases are copies of. */
export interface Templates {
  /** All migrations, and those of the job queue. */
  readonly migrated: string;
  /** The same with the partitions that the first start of a platform would spend 0.4 s of a core on. */
  readonly partitioned: string;
}

/**
 * Builds the templates. Named for what is in them, so that a server that outlives the run keeps them and runs side by side
 * do not disturb each other; partitions that a later day lacks are made by whoever starts there.
 */
export async function buildTemplates(adminUrl: string, log: (line: string) => void): Promise<Templates> {
  const migrations = await readMigrations(foldersOf({}).migrationsDir);
  if (migrations.length === 0) log('there are no migrations yet: test databases hold the job queue only');
  const hash = createHash('sha256').update(await readFile(jobQueueManifest));
  for (const { name, checksum } of migrations) hash.update(`\n${name} ${checksum}`);
  const migrated = `mplp_template_${hash.digest('hex').slice(0, 12)}`;
  const partitioned = `${migrated}_partitioned`;
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [lockKey]);
    const { rows } = await client.query<{ name: string }>('SELECT datname AS name FROM pg_database');
    const known = new Set(rows.map(({ name }) => name));
    if (!known.has(migrated))
      await build(adminUrl, { name: migrated }, (url) =>
        migrate(url, { after: (database) => runMigrations({ connectionString: database }) }),
      );
    if (!known.has(partitioned)) await build(adminUrl, { name: partitioned, template: migrated }, makePartitions);
    return { migrated, partitioned };
  } finally {
    await client.end();
  }
}

interface Target {
  readonly name: string;
  readonly template?: string;
}

/** Built under another name first: a run that is cut off leaves no half template. */
async function build(
  adminUrl: string,
  { name, ...options }: Target,
  fill: (url: string) => Promise<unknown>,
): Promise<void> {
  const built = await createScratchDatabase(adminUrl, { ...options, prefix: 'mplp_template_new' });
  await fill(built.url);
  const template = pg.escapeIdentifier(name);
  await runAdmin(adminUrl, `ALTER DATABASE ${pg.escapeIdentifier(built.name)} RENAME TO ${template}`);
  // A connection to a template, such as a stray psql, would make every copy fail.
  await runAdmin(adminUrl, `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
}

/** In a process of its own: loading every module here would cost more than it does. */
async function makePartitions(url: string): Promise<void> {
  const script = fileURLToPath(new URL('makePartitions.ts', import.meta.url));
  const env = { ...process.env, DATABASE_URL: url, NODE_COMPILE_CACHE: compiledFolder };
  await promisify(execFile)(process.execPath, [...shortRunFlags, script], { env });
}
