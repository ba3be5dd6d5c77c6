import {
  type ChildProcessWithoutNullStreams,
  type SpawnOptionsWithoutStdio,
  type StdioOptions,
  spawn,
} from 'node:child_process';

// The shell becomes the program; a watcher beside it reads our end of a pipe and ends the program when we are gone,
// however we went: a test run that is killed must not leave servers behind.
const withWatcher = 'exec 3<&0; (cat <&3; kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** Starts a program that ends with this process. Its standard input is empty; with `channel` it may be sent messages. */
export function spawnWatched(
  command: string,
  args: readonly string[],
  { channel = false, ...options }: Pick<SpawnOptionsWithoutStdio, 'cwd' | 'env'> & { readonly channel?: boolean } = {},
): ChildProcessWithoutNullStreams {
  const watched = ['-c', withWatcher, 'sh', command, ...args];
  if (!channel) return spawn('/bin/sh', watched, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  // The watcher's descriptor stands before the channel's.
  const stdio = ['pipe', 'pipe', 'pipe', 'ignore', 'ipc'] satisfies StdioOptions;
  return spawn('/bin/sh', watched, { ...options, stdio }) as ChildProcessWithoutNullStreams;
}
