import { foldersOf, migrate, type SchemaFolders } from './migrate.ts';
import { readSchemaFiles } from './migrationFiles.ts';
import { noFilters, openSchemaEngine } from './schemaEngine.ts';
import { createScratchDatabase } from './scratch.ts';

export interface Drift {
  /** What differs, for a reader. */
  readonly summary: string;
  /** What a migration would have to do so that the database fits the models. */
  readonly sql: string;
}

/**
 * Compares what all migrations make of an empty database with the models; null when they agree.
 * Prisma's own way, a shadow database, would be the real database here: the scratch database is ours, and dropped.
 */
export async function findDrift(adminUrl: string, folders: SchemaFolders = {}): Promise<Drift | null> {
  const { schemaDir, migrationsDir } = foldersOf(folders);
  const files = await readSchemaFiles(schemaDir);
  await using scratch = await createScratchDatabase(adminUrl);
  await migrate(scratch.url, { schemaDir, migrationsDir });
  await using opened = await openSchemaEngine(scratch.url, files, async () => {
    throw new Error('a comparison runs no script');
  });
  const compare = (script: boolean) =>
    opened.engine.diff({
      from: { tag: 'schemaDatasource', configDir: schemaDir, files: [...files] },
      to: { tag: 'schemaDatamodel', files: [...files] },
      script,
      exitCode: true,
      filters: noFilters,
    });
  const { exitCode, stdout } = await compare(false);
  if (exitCode === 0) return null;
  const { stdout: sql } = await compare(true);
  return { summary: (stdout ?? '').trim(), sql: `${(sql ?? '').trim()}\n` };
}
