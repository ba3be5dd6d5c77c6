import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that may end at any time; `startedAt` tells it from a later one with the same number. */
export interface ProcessMark {
  readonly pid: number;
  readonly startedAt: string;
}

/** Marks a running process; null when there is none of this number. */
export function markProcess(pid: number): ProcessMark | null {
  if (!isRunning(pid)) return null;
  return { pid, startedAt: startTime(pid) };
}

export function isSameProcess(mark: ProcessMark): boolean {
  return isRunning(mark.pid) && startTime(mark.pid) === mark.startedAt;
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Kernel start time in clock ticks; empty where there is no /proc. */
function startTime(pid: number): string {
  return procStat(pid)[19] ?? '';
}

function isZombie(pid: number): boolean {
  return procStat(pid)[0] === 'Z';
}

/** Fields of /proc/<pid>/stat behind the command, which may itself hold spaces and brackets. */
function procStat(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

export interface PostmasterFile {
  readonly pid: number;
  readonly port: number;
  readonly status: string;
}

/** Reads postmaster.pid, which the server keeps in its data folder while it lives. */
export async function readPostmasterFile(dataFolder: string): Promise<PostmasterFile | null> {
  const text = await readFile(join(dataFolder, 'postmaster.pid'), 'utf8').catch(() => null);
  if (text === null) return null;
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0 ? { pid, port: Number(lines[3]), status: (lines[7] ?? '').trim() } : null;
}

/** The server running on this data folder, or null; a foreign process that took over the number is told apart. */
export async function findPostmaster(dataFolder: string): Promise<PostmasterFile | null> {
  const file = await readPostmasterFile(dataFolder);
  if (file === null || !isRunning(file.pid)) return null;
  if (process.platform === 'linux') {
    // The postmaster works in its data folder; a copied folder or a reused number points elsewhere.
    try {
      if (readlinkSync(`/proc/${file.pid}/cwd`) !== realpathSync(dataFolder)) return null;
    } catch {
      return null;
    }
  }
  return file;
}

/** Removes a postmaster.pid whose server is gone: its number may meanwhile belong to another process. */
export async function dropStalePostmasterFile(dataFolder: string): Promise<void> {
  if ((await readPostmasterFile(dataFolder)) !== null && (await findPostmaster(dataFolder)) === null) {
    await rm(join(dataFolder, 'postmaster.pid'), { force: true });
  }
}

/**
 * Ends a server: fast shutdown, after 15 s immediate, after 5 s more by force; immediate at once for one to be deleted.
 * Sessions are cut, commits are kept in every case: the log replays what the checkpoint lacks.
 */
export async function stopPostmaster(pid: number, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
  const steps: readonly [NodeJS.Signals, number][] = [
    ...(mode === 'fast' ? [['SIGINT', 15_000] as [NodeJS.Signals, number]] : []),
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ];
  for (const [signal, timeoutMs] of steps) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw new Error(`PostgreSQL (process ${pid}) belongs to another user and cannot be stopped`, { cause: error });
    }
    if (await waitForEnd(pid, timeoutMs)) return;
  }
  throw new Error(`PostgreSQL (process ${pid}) does not end`);
}

async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (!isRunning(pid)) return true;
    await sleep(5);
  }
  return !isRunning(pid);
}
