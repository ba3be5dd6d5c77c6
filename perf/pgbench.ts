import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const timeoutMs = 300_000;

async function pgbench(args: readonly string[]): Promise<string | null> {
  try {
    return (await run('pgbench', [...args], { timeout: timeoutMs })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Makes pgbench's own tables; false where it is not installed. */
export async function preparePgbench(url: string, scale: number): Promise<boolean> {
  return (await pgbench(['--initialize', '--quiet', '--scale', String(scale), url])) !== null;
}

export interface PgbenchOptions {
  readonly clients: number;
  readonly seconds: number;
  /** Its own script, or that of a file. */
  readonly script: 'select-only' | 'tpcb-like' | { readonly file: string };
}

/**
 * Transactions a second of PostgreSQL's own bench, prepared statements, one thread; null where it is not installed.
 * @throws {Error} when it fails
 */
export async function runPgbench(url: string, { clients, seconds, script }: PgbenchOptions): Promise<number | null> {
  const chosen = typeof script === 'string' ? ['--builtin', script] : ['--file', script.file];
  const output = await pgbench([
    '--no-vacuum',
    '--protocol=prepared',
    ...chosen,
    '--client',
    String(clients),
    '--jobs=1',
    '--time',
    String(seconds),
    url,
  ]);
  if (output === null) return null;
  const found = /^tps = ([\d.]+)/m.exec(output);
  if (!found) throw new Error(`expected a rate of pgbench, got ${output.slice(0, 300)}`);
  return Number(found[1]);
}
