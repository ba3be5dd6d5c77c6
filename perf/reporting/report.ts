import { allRows, type Budgets, isLatencyRow, type LatencyRow, type LoadDesign } from '../budgets.ts';
import type { Durability, Machine } from '../machine.ts';
import type { Measurement } from '../measurement.ts';
import { judge, type RowVerdict } from '../verdict.ts';

export interface RunInfo {
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly commit: string | null;
  readonly machine: Machine;
  readonly durability: Durability | null;
  readonly profile: Readonly<Record<string, string>>;
  /** Set when windows were shortened by --duration. */
  readonly durationSeconds: number | null;
}

export interface Column {
  readonly variant: string;
  readonly verdict: RowVerdict;
  readonly measurement: Measurement;
  /** The run that measured it; rows of earlier runs stay until they are measured anew. */
  readonly runId: string;
}

export interface ReportRow {
  readonly id: string;
  readonly group: string;
  readonly operation: string;
  /** `p95 <= 50 ms`, `>= 1000 req/sec`. */
  readonly bound: string;
  readonly limit: number;
  readonly isLatency: boolean;
  readonly design: LoadDesign;
  /** The verdict on the row: its first column's, `not measured` without one. */
  readonly verdict: RowVerdict;
  readonly columns: readonly Column[];
}

export interface Report {
  readonly run: RunInfo;
  readonly runs: Readonly<Record<string, RunInfo>>;
  readonly rows: readonly ReportRow[];
}

export interface ReportInput {
  readonly budgets: Budgets;
  readonly run: RunInfo;
  readonly measurements: readonly Measurement[];
  /** Rows that have a scenario: a row that lost its own is not measured, whatever an earlier run found. */
  readonly measurable: ReadonlySet<string>;
  /** Rows whose scenarios ran this time: what earlier runs found for them is dropped, also when this run failed. */
  readonly attempted: ReadonlySet<string>;
  readonly earlier: Report | null;
}

function boundOf({ max_ms: maxMs, load: { hold } }: LatencyRow): string {
  const guides = `p95 <= ${maxMs} ms`;
  return hold === undefined ? guides : `${guides}, p99 <= ${hold.p99Ms} ms, <= ${hold.serverUs} us of the server`;
}

/** Puts this run's measurements beside those earlier runs made of other rows, and judges every budget row. */
export function createReport(input: ReportInput): Report {
  const { budgets, earlier, run } = input;
  const rows = allRows(budgets).map((row): ReportRow => {
    const fresh = input.measurements.filter((measurement) => measurement.row === row.id);
    const found: { measurement: Measurement; runId: string }[] = fresh.map((measurement) => ({
      measurement,
      runId: run.id,
    }));
    if (!input.attempted.has(row.id) && input.measurable.has(row.id)) {
      const before = earlier?.rows.find((candidate) => candidate.id === row.id)?.columns ?? [];
      found.push(...before.map(({ measurement, runId }) => ({ measurement, runId })));
    }
    const columns = found.map(
      ({ measurement, runId }): Column => ({
        variant: measurement.variant,
        verdict: judge(row, measurement),
        measurement,
        runId,
      }),
    );
    const [first] = columns;
    return {
      id: row.id,
      group: isLatencyRow(row) ? `${row.layer} ${row.area}` : `throughput ${row.area}`,
      operation: row.operation,
      bound: isLatencyRow(row) ? boundOf(row) : `>= ${row.min} ${row.unit}`,
      limit: isLatencyRow(row) ? row.max_ms : row.min,
      isLatency: isLatencyRow(row),
      design: row.load,
      verdict: first ? first.verdict : judge(row, undefined),
      columns,
    };
  });
  const used = new Set(rows.flatMap((row) => row.columns.map((column) => column.runId)));
  const runs = Object.fromEntries(
    Object.entries({ ...earlier?.runs, [run.id]: run }).filter(([id]) => used.has(id) || id === run.id),
  );
  return { run, runs, rows };
}

export function countVerdicts(rows: readonly ReportRow[]): Record<RowVerdict['kind'], number> {
  const counts = { holds: 0, missed: 0, 'wrong answers': 0, invalid: 0, 'not measured': 0 };
  for (const row of rows) counts[row.verdict.kind] += 1;
  return counts;
}

/** What the row is judged by: p95 in ms, or the rate in the row's unit. */
export function figureOf(row: ReportRow, column: Column): number | undefined {
  return row.isLatency ? column.measurement.latency?.p95Ms : column.measurement.achieved;
}
