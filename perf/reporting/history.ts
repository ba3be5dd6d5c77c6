import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { figureOf, type Report } from './report.ts';

/** One row in one variant as one run found it. */
export interface HistoryEntry {
  readonly runId: string;
  readonly at: string;
  readonly commit: string | null;
  readonly cpu: string;
  readonly row: string;
  readonly variant: string;
  readonly verdict: string;
  /** p95 in ms, or the rate in the row's unit. */
  readonly figure: number;
  readonly p99Ms: number | null;
}

export function entriesOf(report: Report): HistoryEntry[] {
  const { run } = report;
  return report.rows.flatMap((row) =>
    row.columns.flatMap((column): HistoryEntry[] => {
      const figure = figureOf(row, column);
      if (column.runId !== run.id || figure === undefined) return [];
      return [
        {
          runId: run.id,
          at: run.at,
          commit: run.commit,
          cpu: run.machine.cpu,
          row: row.id,
          variant: column.variant,
          verdict: column.verdict.kind,
          figure,
          p99Ms: column.measurement.latency?.p99Ms ?? null,
        },
      ];
    }),
  );
}

export function appendHistory(file: string, entries: readonly HistoryEntry[]): void {
  appendFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
}

export function readHistory(file: string): HistoryEntry[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as HistoryEntry);
}

/** Figures of one row and variant, oldest first. */
export function seriesOf(history: readonly HistoryEntry[], row: string, variant: string): HistoryEntry[] {
  return history.filter((entry) => entry.row === row && entry.variant === variant);
}
