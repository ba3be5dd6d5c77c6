import { type ChildProcess, fork } from 'node:child_process';
import { compiledFolder } from '#shared/compileCache.ts';

/** Forks a module of ours under the same Node, from compiled modules; its stderr is ours. */
export function forkModule(module: URL): ChildProcess {
  return fork(module, {
    execArgv: [],
    env: { NODE_COMPILE_CACHE: compiledFolder, ...process.env },
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** Resolves when the child has gone; asks it, and after 2 s makes it. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) child.disconnect();
  });
}
