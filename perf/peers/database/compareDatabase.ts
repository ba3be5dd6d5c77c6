import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startTemporaryPostgres } from '../../../prisma/embedded.ts';
import { createSql } from '../../../subgraphs/shared/sql.ts';
import { runLoad } from '../../load/runLoad.ts';
import { type Durability, requireDurability } from '../../machine.ts';
import { readTreeCpuMs } from '../../processCpu.ts';
import { createRows, scripts } from './table.ts';
import { type DatabaseParams, type OurWay, rowsOf } from './workload.ts';

export interface DatabaseLoad {
  readonly rounds: number;
  readonly durationSeconds: number;
  /** Operations at once, of either side. */
  readonly concurrency: Readonly<Record<'read' | 'write', number>>;
}

export type DatabaseWay = OurWay | 'read-pgbench' | 'write-pgbench';

export interface DatabaseWindow {
  readonly way: DatabaseWay;
  readonly round: number;
  readonly rowsPerSecond: number;
  /** CPU of PostgreSQL and its backends for a row, us. */
  readonly databaseCpuUs: number;
}

export interface DatabaseTable {
  readonly load: DatabaseLoad;
  readonly durability: Durability;
  readonly windows: readonly DatabaseWindow[];
}

const ways: Readonly<Record<'read' | 'write', readonly DatabaseWay[]>> = {
  read: ['read-pgbench', 'read-statement', 'read-loader'],
  write: ['write-pgbench', 'write-statement', 'write-group'],
};

/** Connections of ours: as many as a module's pool has. */
const connections = 8;
const run = promisify(execFile);

/** Whether there is a pgbench to measure beside. */
export async function findPgbench(): Promise<boolean> {
  return run('pgbench', ['--version']).then(
    () => true,
    () => false,
  );
}

/**
 * Reads and writes rows of one table in a fresh PostgreSQL with pgbench and with the platform's own code, in turn.
 * @throws {Error} when a row that comes back is not the one asked for, or a commit would not be durable.
 */
export async function compareDatabase(load: DatabaseLoad, log: (line: string) => void): Promise<DatabaseTable> {
  const folder = mkdtempSync(join(tmpdir(), 'perf-peers-database-'));
  await using server = await startTemporaryPostgres();
  const sql = createSql(server.url, { max: 1, applicationName: 'peers', statementTimeoutMs: 120_000 });
  try {
    const durability = await requireDurability(sql);
    await createRows(sql);
    const target = { url: server.url, pid: server.pid, folder, load };
    const windows: DatabaseWindow[] = [];
    for (const kind of ['read', 'write'] as const) {
      for (let round = 0; round < load.rounds; round += 1) {
        for (const way of round % 2 === 0 ? ways[kind] : ways[kind].toReversed()) {
          const { rows, seconds, databaseCpuMs } =
            way === 'read-pgbench' || way === 'write-pgbench'
              ? await runPgbench(target, kind)
              : await runOurs(target, kind, way);
          const window = { way, round, rowsPerSecond: rows / seconds, databaseCpuUs: (databaseCpuMs * 1_000) / rows };
          windows.push(window);
          log(`database, round ${round + 1}: ${way} ${Math.round(window.rowsPerSecond)} rows/s`);
        }
      }
    }
    return { load, durability, windows };
  } finally {
    await sql.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Target {
  readonly url: string;
  readonly pid: number;
  readonly folder: string;
  readonly load: DatabaseLoad;
}

interface Done {
  readonly rows: number;
  readonly seconds: number;
  readonly databaseCpuMs: number;
}

const readCpuMs = (pid: number): number => readTreeCpuMs(pid) ?? Number.NaN;

async function runPgbench({ url, pid, folder, load }: Target, kind: 'read' | 'write'): Promise<Done> {
  const script = join(folder, `${kind}.sql`);
  writeFileSync(script, scripts[kind]);
  const clients = String(load.concurrency[kind]);
  const before = readCpuMs(pid);
  const { stdout } = await run('pgbench', [
    ...['-n', '-M', 'prepared', '-f', script, '-c', clients, '-j', '1'],
    ...['-T', String(Math.ceil(load.durationSeconds)), url],
  ]);
  const databaseCpuMs = readCpuMs(pid) - before;
  const rows = Number(/number of transactions actually processed: (\d+)/.exec(stdout)?.[1]);
  const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  if (!(rows > 0) || !(perSecond > 0)) throw new Error(`pgbench said nothing that is understood: ${stdout}`);
  return { rows, seconds: rows / perSecond, databaseCpuMs };
}

async function runOurs({ url, pid, load }: Target, kind: 'read' | 'write', way: OurWay): Promise<Done> {
  const params: DatabaseParams = { url, way, connections };
  const seconds = load.durationSeconds;
  let before = Number.NaN;
  let after = Number.NaN;
  const result = await runLoad({
    workload: new URL('./workload.ts', import.meta.url),
    params,
    arrival: { kind: 'closed', concurrency: load.concurrency[kind] },
    warmupSeconds: Math.min(1, seconds / 2),
    durationSeconds: seconds,
    onWindow: (phase) => {
      if (phase === 'start') before = readCpuMs(pid);
      else after = readCpuMs(pid);
    },
  });
  if (result.errorCount > 0 || result.wrong > 0)
    throw new Error(
      `${way}: ${result.wrong} wrong answers, errors ${JSON.stringify(result.errors)}; ${result.wrongExamples.join('; ')}`,
    );
  return { rows: result.achievedPerSecond * seconds * rowsOf(way), seconds, databaseCpuMs: after - before };
}
