import { yieldToEventLoop } from '#shared/backgroundThreads.ts';
import { readConfig } from '#shared/config.ts';
import { closeOnSignal } from '#shared/shutdown.ts';
import { describeStartFailure } from '#shared/startFailure.ts';
import { collectStartGarbage } from '#shared/startGarbage.ts';
import { startFromConfig } from './startFromConfig.ts';

try {
  const config = readConfig(process.env);
  const starting = startFromConfig(config);
  closeOnSignal(async () => (await starting).close(), { deadlineMs: config.DRAIN_TIMEOUT_MS + 20_000 });
  const gateway = await starting;
  process.stdout.write(
    `\n  graph   ${gateway.url}/graphql\n  explore ${gateway.url}/ide\n  health  ${gateway.url}/ready\n\n`,
  );
  // What a start compiles is not to wait.
  yieldToEventLoop();
  collectStartGarbage(2_000);
} catch (error) {
  process.stderr.write(`${describeStartFailure(error)}\n`);
  process.exit(1);
}
