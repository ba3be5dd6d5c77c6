import { readConfig } from '#shared/config.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import { closeOnSignal } from '#shared/shutdown.ts';
import { describeStartFailure } from '#shared/startFailure.ts';
import { createLogger } from '#shared/telemetry.ts';
import { openDatabase } from '../prisma/database.ts';
import { startSubgraphs } from './serve.ts';

try {
  const config = readConfig(process.env);
  const logBuffer = createLogBuffer();
  const logger = createLogger(config.LOG_LEVEL, config.LOG_STORE ? logBuffer : undefined);
  const starting = openDatabase(config, logger).then(async (database) => {
    try {
      return { database, subgraphs: await startSubgraphs({ config, databaseUrl: database.url, logger, logBuffer }) };
    } catch (error) {
      await database.close();
      throw error;
    }
  });
  closeOnSignal(
    async () => {
      const { database, subgraphs } = await starting;
      await subgraphs.close();
      await database.close();
    },
    { deadlineMs: config.DRAIN_TIMEOUT_MS + 20_000 },
  );
  const { subgraphs } = await starting;
  process.stdout.write(`${[...subgraphs.urls].map(([name, url]) => `${name}=${url}`).join(',')}\n`);
} catch (error) {
  process.stderr.write(`${describeStartFailure(error)}\n`);
  process.exit(1);
}
