import { type ChildProcessWithoutNullStreams, type SpawnOptionsWithoutStdio, spawn } from 'node:child_process';

// The shell becomes the program; a watcher beside it reads our end of a pipe and ends the program when we are gone,
// however we went: a test run that is killed must not leave servers behind.
const withWatcher = 'exec 3<&0; (cat <&3; kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** Starts a program that ends with this process. Its standard input is empty. */
export function spawnWatched(
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptionsWithoutStdio, 'cwd' | 'env'> = {},
): ChildProcessWithoutNullStreams {
  return spawn('/bin/sh', ['-c', withWatcher, 'sh', command, ...args], { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
}
