/** `npm run demo`: recorded agent runs as live dialogs. */
import { readOptions, UsageError, usage } from './options.ts';
import { describeResult, isFaultless } from './report.ts';
import { runDemo } from './runDemo.ts';

const interruptedExitCode = 130;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === 'help') {
    print(usage);
    return 0;
  }
  const stopping = new AbortController();
  // Once: who interrupts again does not want to wait for the platform to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      print('\nstopping');
      stopping.abort(new Error('interrupted'));
    });
  // Nobody reads any more (`| head`): without this the process would end and leave the platform behind.
  process.stdout.on('error', () => stopping.abort(new Error('the output was closed')));
  try {
    const result = await runDemo(options, { signal: stopping.signal, print });
    for (const line of describeResult(result)) print(line);
    return isFaultless(result) ? 0 : 1;
  } catch (error) {
    if (stopping.signal.aborted) return interruptedExitCode;
    throw error;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
  if (error instanceof UsageError) process.stderr.write(`\n${usage}`);
}
