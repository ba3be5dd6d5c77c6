import { readConfig } from '#shared/config.ts';
import type { HostAnswer, HostRequest, Script } from './platformHosts.ts';

// A process that runs one process of a platform after the other, each started from an environment as its own entry
// starts it, and closed as a signal closes it.
let running: { close(): Promise<void> } | null = null;
let schemasKept: Promise<void> | undefined;

async function start(script: Script, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const config = readConfig(env);
  if (script === 'gateway/main.ts') {
    const { startFromConfig } = await import('../gateway/startFromConfig.ts');
    schemasKept ??= import('./keptSchemas.ts').then(({ keepSchemas }) => keepSchemas());
    await schemasKept;
    const gateway = await startFromConfig(config);
    running = gateway;
    return gateway.url;
  }
  const { startFromConfig } = await import('../subgraphs/startFromConfig.ts');
  const subgraphs = await startFromConfig(config);
  running = subgraphs;
  return [...subgraphs.urls].map(([name, url]) => `${name}=${url}`).join(',');
}

async function stop(): Promise<string> {
  const ending = running;
  running = null;
  await ending?.close();
  return '';
}

const answer = (text: HostAnswer): void => void process.send!(text);

process.on('message', (request: HostRequest) => {
  const done = request.kind === 'start' ? start(request.script, request.env) : stop();
  done.then(
    (value) => answer({ value }),
    (error: unknown) => answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
