import { type BudgetRow, budgetRows } from './budgetRows.generated.ts';
import type { OperationFigures } from './figures.ts';
import { operationsByRow } from './operations.ts';

/** What a row counts for in the score: what callers wait for counts twice. */
export const layerWeights = { L1: 1, L2: 2, L3: 2 } as const;
/** The guide names p95 for its bounds; p99 may take twice as long. */
const p99Factor = 2;

export interface BudgetState extends BudgetRow {
  readonly operation: string | null;
  readonly status: 'HELD' | 'VIOLATED' | 'UNMEASURED';
  readonly count: number;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly weight: number;
}

/** Each row with what was measured of it: held where p95 is within its bound and p99 within twice that. */
export function stateOfBudgets(figures: readonly OperationFigures[]): readonly BudgetState[] {
  const byOperation = new Map(figures.map((one) => [one.operation, one]));
  return budgetRows.map((row) => {
    const operation = operationsByRow[row.id] ?? null;
    const found = operation === null ? undefined : byOperation.get(operation);
    const isHeld = found !== undefined && found.p95Ms <= row.maxMs && found.p99Ms <= p99Factor * row.maxMs;
    return {
      ...row,
      operation,
      status: found === undefined ? 'UNMEASURED' : isHeld ? 'HELD' : 'VIOLATED',
      count: found?.count ?? 0,
      p95Ms: found?.p95Ms ?? null,
      p99Ms: found?.p99Ms ?? null,
      weight: layerWeights[row.layer],
    };
  });
}

const weigh = (states: readonly BudgetState[]) => states.reduce((sum, { weight }) => sum + weight, 0);

/** Weighted shares, 0 to 1: of the measured rows those held (null where none was measured), and of all rows those measured and those held. */
export function scoresOf(states: readonly BudgetState[]): {
  readonly score: number | null;
  readonly coverage: number;
  readonly overallScore: number;
} {
  const all = weigh(states);
  const measured = weigh(states.filter(({ status }) => status !== 'UNMEASURED'));
  const held = weigh(states.filter(({ status }) => status === 'HELD'));
  return {
    score: measured === 0 ? null : held / measured,
    coverage: all === 0 ? 0 : measured / all,
    overallScore: all === 0 ? 0 : held / all,
  };
}
