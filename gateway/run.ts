import { yieldToEventLoop } from '#shared/backgroundThreads.ts';
import { readConfig } from '#shared/config.ts';
import { closeOnSignal, closeStarted } from '#shared/shutdown.ts';
import { describeStartFailure } from '#shared/startFailure.ts';
import { collectStartGarbage } from '#shared/startGarbage.ts';
import { startFromConfig } from './startFromConfig.ts';

const stopping = new AbortController();
try {
  const config = readConfig(process.env);
  const starting = startFromConfig(config, { signal: stopping.signal });
  closeOnSignal(() => closeStarted(starting, stopping), { deadlineMs: config.DRAIN_TIMEOUT_MS + 20_000 });
  const gateway = await starting;
  process.stdout.write(
    `\n  graph   ${gateway.url}/graphql\n  explore ${gateway.url}/ide\n  health  ${gateway.url}/ready\n\n`,
  );
  // What a start compiles is not to wait.
  yieldToEventLoop();
  collectStartGarbage(2_000);
} catch (error) {
  // Who asked for the end of the start ends the process, too.
  if (stopping.signal.aborted) await new Promise(() => {});
  process.stderr.write(`${describeStartFailure(error)}\n`);
  process.exit(1);
}
