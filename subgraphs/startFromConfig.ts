import type { Config } from '#shared/config.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { createLogger } from '#shared/telemetry.ts';
import { openDatabase } from '../prisma/database.ts';
import { type RunningSubgraphs, startSubgraphs } from './serve.ts';

/** Opens the database and serves the configured subgraphs; `close` ends both. */
export async function startFromConfig(
  config: Config,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<RunningSubgraphs> {
  const logBuffer = createLogBuffer();
  const logger = createLogger(config.LOG_LEVEL, config.LOG_STORE ? logBuffer : undefined);
  const database = await openDatabase(config, logger, signal);
  try {
    const { urls, close } = await startSubgraphs({ config, databaseUrl: database.url, logger, logBuffer });
    return {
      urls,
      async close() {
        await close();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}
