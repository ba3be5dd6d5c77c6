import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { runMigrations } from 'graphile-worker';
import pg from 'pg';
import { foldersOf, migrate } from '../../prisma/migrate.ts';
import { readMigrations } from '../../prisma/migrationFiles.ts';
import { createScratchDatabase, runAdmin } from '../../prisma/scratch.ts';

// The job queue's own migrations come with its package: another version is another template.
const jobQueueManifest = new URL('../../node_modules/graphile-worker/package.json', import.meta.url);
const lockKey = 4_706_002;

/**
 * Builds the database that every test database is a copy of: all migrations, and those of the job queue. Named for what
 * is in it, so that a server that outlives the run keeps it and runs side by side do not disturb each other.
 */
export async function buildTemplate(adminUrl: string, log: (line: string) => void): Promise<string> {
  const migrations = await readMigrations(foldersOf({}).migrationsDir);
  if (migrations.length === 0) log('there are no migrations yet: test databases hold the job queue only');
  const hash = createHash('sha256').update(await readFile(jobQueueManifest));
  for (const { name, checksum } of migrations) hash.update(`\n${name} ${checksum}`);
  const template = `mplp_template_${hash.digest('hex').slice(0, 12)}`;
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [lockKey]);
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [template]);
    if (rowCount !== 0) return template;
    // Built under another name first: a run that is cut off leaves no half template.
    const built = await createScratchDatabase(adminUrl, { prefix: 'mplp_template_new' });
    await migrate(built.url, { after: (url) => runMigrations({ connectionString: url }) });
    await runAdmin(
      adminUrl,
      `ALTER DATABASE ${pg.escapeIdentifier(built.name)} RENAME TO ${pg.escapeIdentifier(template)}`,
    );
    // A connection to a template, such as a stray psql, would make every copy fail.
    await runAdmin(adminUrl, `ALTER DATABASE ${pg.escapeIdentifier(template)} ALLOW_CONNECTIONS false`);
    return template;
  } finally {
    await client.end();
  }
}
