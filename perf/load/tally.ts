import { createHistogram, type Histogram } from './histogram.ts';
import type { OperationReport } from './loadResult.ts';
import type { Operation, Verdict } from './workload.ts';

interface Row {
  readonly histogram: Histogram;
  readonly errors: Record<string, number>;
  wrong: number;
}

export type Outcome = { readonly verdict: Verdict } | { readonly errorCode: string; readonly detail?: string };

export interface Tally {
  readonly latency: Histogram;
  readonly wrongExamples: string[];
  record(operation: Operation, latencyMs: number, outcome: Outcome): void;
  operations(): OperationReport[];
}

const maxExamples = 5;

/** Counts what one worker's operations came to. */
export function createTally(operations: readonly Operation[]): Tally {
  const rows = new Map<Operation, Row>();
  for (const operation of operations) rows.set(operation, { histogram: createHistogram(), errors: {}, wrong: 0 });
  const latency = createHistogram();
  const wrongExamples: string[] = [];
  const example = (text: string): void => {
    if (wrongExamples.length < maxExamples) wrongExamples.push(text.slice(0, 400));
  };
  return {
    latency,
    wrongExamples,
    record(operation, latencyMs, outcome) {
      const row = rows.get(operation)!;
      row.histogram.record(latencyMs);
      latency.record(latencyMs);
      if ('errorCode' in outcome) {
        row.errors[outcome.errorCode] = (row.errors[outcome.errorCode] ?? 0) + 1;
        example(`${operation.name}: ${outcome.errorCode}${outcome.detail === undefined ? '' : ` ${outcome.detail}`}`);
      } else if (outcome.verdict !== true) {
        row.wrong += 1;
        example(`${operation.name}: ${outcome.verdict}`);
      }
    },
    operations: () =>
      [...rows].map(([operation, row]) => ({
        name: operation.name,
        latency: row.histogram.toData(),
        errors: row.errors,
        wrong: row.wrong,
      })),
  };
}
