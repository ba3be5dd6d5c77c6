import { runMigrations } from 'graphile-worker';
import type { Config } from '#shared/config.ts';
import type { Logger } from '#shared/telemetry.ts';
import { startEmbeddedPostgres } from './embedded.ts';
import { migrate } from './migrate.ts';

export interface Database {
  readonly url: string;
  readonly embedded: boolean;
  close(): Promise<void>;
}

/** Finds or starts the database and brings every schema in it up to date; a `signal` breaks it off before a database is migrated. */
export async function openDatabase(config: Config, logger: Logger, signal?: AbortSignal): Promise<Database> {
  const log = (line: string) => logger.info(line);
  const embedded =
    config.DATABASE_URL === undefined ? await startEmbeddedPostgres({ dataDir: config.dataDir, log }) : null;
  const url = config.DATABASE_URL ?? embedded!.url;
  try {
    for (const target of new Set([url, ...config.databaseUrls.values()])) {
      signal?.throwIfAborted();
      const { applied } = await migrate(target, {
        log,
        after: async (connectionString) => {
          await runMigrations({ connectionString });
        },
      });
      if (applied.length > 0) logger.info({ applied }, 'migrations applied');
    }
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
  return { url, embedded: embedded !== null, close: async () => embedded?.stop() };
}
