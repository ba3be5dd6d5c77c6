import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Sql } from '#shared/sql.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  /** Load average of the last minute as the run began: others at work on the machine. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** Short hash of the commit checked out, with `+` when files differ from it; null outside of git. */
export function readCommit(): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--', ':!perf/report') === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}

export interface Durability {
  readonly version: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  /** Tables that would be lost in a crash. */
  readonly unloggedTables: number;
}

/**
 * Reads what a measured run must not do without.
 * @throws {Error} when fsync, synchronous_commit or full_page_writes is off, or a table is UNLOGGED
 */
export async function requireDurability(sql: Sql): Promise<Durability> {
  const settings = await sql<{ name: string; setting: string }[]>`
    SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes')`;
  const setting = (name: string): string => settings.find((row) => row.name === name)?.setting ?? 'unknown';
  const [unlogged] = await sql<{ count: number }[]>`
    SELECT count(*)::int AS count FROM pg_class WHERE relpersistence = 'u' AND relkind IN ('r', 'p')`;
  const durability: Durability = {
    version: setting('server_version'),
    fsync: setting('fsync'),
    synchronousCommit: setting('synchronous_commit'),
    fullPageWrites: setting('full_page_writes'),
    unloggedTables: unlogged?.count ?? 0,
  };
  const { fsync, synchronousCommit, fullPageWrites, unloggedTables } = durability;
  if (fsync !== 'on' || synchronousCommit !== 'on' || fullPageWrites !== 'on' || unloggedTables > 0) {
    throw new Error(
      `expected fsync, synchronous_commit and full_page_writes on and no UNLOGGED table, got ${JSON.stringify(durability)}`,
    );
  }
  return durability;
}
