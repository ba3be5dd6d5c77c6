import { readConfig } from '#shared/config.ts';
import { startGateway } from './start.ts';

try {
  const gateway = await startGateway(readConfig(process.env));
  process.stdout.write(
    `\n  graph   ${gateway.url}/graphql\n  explore ${gateway.url}/ide\n  health  ${gateway.url}/ready\n\n`,
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void gateway.close().then(() => process.exit(0));
    });
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
