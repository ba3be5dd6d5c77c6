import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ of Linux: the unit of /proc/<pid>/stat on every architecture Node runs on. */
const msPerTick = 10;

interface ProcessTimes {
  readonly parent: number;
  readonly ownMs: number;
  /** CPU of children that ended and were waited for. */
  readonly endedChildrenMs: number;
}

function readTimes(pid: number): ProcessTimes | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The name in parentheses may hold spaces and parentheses: count from behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (index: number): number => Number(fields[index]);
  return {
    parent: ticks(1),
    ownMs: (ticks(11) + ticks(12)) * msPerTick,
    endedChildrenMs: (ticks(13) + ticks(14)) * msPerTick,
  };
}

/** CPU time of a process, all its threads, ms in steps of 10; null where /proc does not know it. */
export function readProcessCpuMs(pid: number): number | null {
  return readTimes(pid)?.ownMs ?? null;
}

/** CPU time of a process and its children, ended ones included: a PostgreSQL server with its backends. */
export function readTreeCpuMs(pid: number): number | null {
  // A child that is waited for between the two readings would be in neither: read again until none was.
  for (let attempt = 0; ; attempt += 1) {
    const root = readTimes(pid);
    if (!root) return null;
    let sum = root.ownMs + root.endedChildrenMs;
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const times = readTimes(Number(name));
      if (times?.parent === pid) sum += times.ownMs + times.endedChildrenMs;
    }
    if (readTimes(pid)?.endedChildrenMs === root.endedChildrenMs || attempt === 10) return sum;
  }
}

/** Resident memory of a process in bytes; null where /proc does not know it. */
export function readResidentBytes(pid: number): number | null {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match ? Number(match[1]) * 1024 : null;
  } catch {
    return null;
  }
}

/** The parent of a process: of a PostgreSQL backend, its server. */
export function readParent(pid: number): number | null {
  return readTimes(pid)?.parent ?? null;
}

export interface CpuUse {
  readonly serverMs: number | null;
  readonly databaseMs: number | null;
}

export interface CpuWatch {
  start(): void;
  end(): void;
  /** CPU between start and end. */
  use(): CpuUse;
}

/** Watches the server's process and PostgreSQL's over a window. */
export function createCpuWatch(pids: {
  readonly server?: number | undefined;
  readonly postmaster?: number | undefined;
}): CpuWatch {
  const read = (): CpuUse => ({
    serverMs: pids.server === undefined ? null : readProcessCpuMs(pids.server),
    databaseMs: pids.postmaster === undefined ? null : readTreeCpuMs(pids.postmaster),
  });
  const difference = (from: number | null, to: number | null): number | null =>
    from === null || to === null ? null : to - from;
  let from: CpuUse = { serverMs: null, databaseMs: null };
  let to: CpuUse = from;
  return {
    start() {
      from = read();
    },
    end() {
      to = read();
    },
    use: () => ({
      serverMs: difference(from.serverMs, to.serverMs),
      databaseMs: difference(from.databaseMs, to.databaseMs),
    }),
  };
}
