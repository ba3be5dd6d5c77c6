import { yieldToEventLoop } from '#shared/backgroundThreads.ts';
import { readConfig } from '#shared/config.ts';
import { closeOnSignal, closeStarted } from '#shared/shutdown.ts';
import { describeStartFailure } from '#shared/startFailure.ts';
import { startFromConfig } from './startFromConfig.ts';

const stopping = new AbortController();
try {
  const config = readConfig(process.env);
  const starting = startFromConfig(config, { signal: stopping.signal });
  closeOnSignal(() => closeStarted(starting, stopping), { deadlineMs: config.DRAIN_TIMEOUT_MS + 20_000 });
  const { urls } = await starting;
  process.stdout.write(`${[...urls].map(([name, url]) => `${name}=${url}`).join(',')}\n`);
  yieldToEventLoop();
} catch (error) {
  // Who asked for the end of the start ends the process, too.
  if (stopping.signal.aborted) await new Promise(() => {});
  process.stderr.write(`${describeStartFailure(error)}\n`);
  process.exit(1);
}
