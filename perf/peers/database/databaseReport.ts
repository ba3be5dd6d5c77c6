import { formatNumber } from '../../reporting/format.ts';
import { median } from '../ratios.ts';
import type { DatabaseTable, DatabaseWay, DatabaseWindow } from './compareDatabase.ts';

const titles: Readonly<Record<DatabaseWay, string>> = {
  'read-pgbench': 'read: pgbench, prepared, a row a statement',
  'read-statement': 'read: our client, a row a statement',
  'read-loader': 'read: a loader of ours, twenty rows a statement',
  'write-pgbench': 'write: pgbench, prepared, a row a transaction',
  'write-statement': 'write: our client, a row a transaction',
  'write-group': 'write: group commit of ours',
};

export interface DatabaseRow {
  readonly way: DatabaseWay;
  readonly rowsPerSecond: number;
  readonly databaseCpuUs: number;
  /** Rows a second, of those of pgbench at the same; the median of the rounds. */
  readonly rateRatio: number;
}

/** Medians over the rounds, in the order in which the ways first come; a ratio is taken within a round. */
export function summariseDatabase(windows: readonly DatabaseWindow[]): readonly DatabaseRow[] {
  return [...Map.groupBy(windows, ({ way }) => way)].map(([way, group]) => {
    const pgbench = way.startsWith('read') ? 'read-pgbench' : 'write-pgbench';
    return {
      way,
      rowsPerSecond: median(group.map((window) => window.rowsPerSecond)),
      databaseCpuUs: median(group.map((window) => window.databaseCpuUs)),
      rateRatio: median(
        group.flatMap((window) => {
          const beside = windows.find((each) => each.way === pgbench && each.round === window.round);
          return beside ? [window.rowsPerSecond / beside.rowsPerSecond] : [];
        }),
      ),
    };
  });
}

/** The rows of the database as a section of Markdown. */
export function renderDatabase({ load, durability, windows }: DatabaseTable): string {
  const lines = summariseDatabase(windows).map(
    ({ way, rowsPerSecond, databaseCpuUs, rateRatio }) =>
      `| ${titles[way]} | ${formatNumber(rowsPerSecond)} | ${formatNumber(databaseCpuUs)} | ${rateRatio.toFixed(2)} |`,
  );
  return `## Rows of the database

PostgreSQL ${durability.version} with fsync, synchronous_commit and full_page_writes on; one table of 100,000 rows with one index beside its key. ${load.concurrency.read} reads or ${load.concurrency.write} writes at once, of pgbench as of ours; ${load.rounds} rounds of ${load.durationSeconds} s, medians. Ours waits for nothing but the database; what it costs its own process is in the rate, since both share the machine.

| | rows/s | CPU of PostgreSQL, us a row | rate : pgbench |
| --- | ---: | ---: | ---: |
${lines.join('\n')}`;
}
