import { yieldToEventLoop } from '#shared/backgroundThreads.ts';
import { readConfig } from '#shared/config.ts';
import { closeOnSignal } from '#shared/shutdown.ts';
import { describeStartFailure } from '#shared/startFailure.ts';
import { startFromConfig } from './startFromConfig.ts';

try {
  const config = readConfig(process.env);
  const starting = startFromConfig(config);
  closeOnSignal(async () => (await starting).close(), { deadlineMs: config.DRAIN_TIMEOUT_MS + 20_000 });
  const { urls } = await starting;
  process.stdout.write(`${[...urls].map(([name, url]) => `${name}=${url}`).join(',')}\n`);
  yieldToEventLoop();
} catch (error) {
  process.stderr.write(`${describeStartFailure(error)}\n`);
  process.exit(1);
}
