import { readConfig } from '#shared/config.ts';
import { createLogger } from '#shared/telemetry.ts';
import { openDatabase } from '../prisma/database.ts';
import { startSubgraphs } from './serve.ts';

try {
  const config = readConfig(process.env);
  const logger = createLogger(config.LOG_LEVEL);
  const database = await openDatabase(config, logger);
  const running = await startSubgraphs({ config, databaseUrl: database.url, logger });
  process.stdout.write(`${[...running.urls].map(([name, url]) => `${name}=${url}`).join(',')}\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void running
        .close()
        .then(() => database.close())
        .then(() => process.exit(0));
    });
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
