import { compileStoredConstraints } from '../conditions/constraints.ts';
import type { CompiledConstraints, Constraints } from '../conditions/index.ts';
import type { Assignment } from './assignment.ts';

/** A row beside its compiled constraints. */
export interface CompiledConstraintsOf<Row> {
  readonly row: Row;
  readonly constraints: CompiledConstraints | undefined;
}

export function compileAssignment(
  row: Assignment & { readonly constraints?: Constraints },
): CompiledConstraintsOf<Assignment> {
  return { row, constraints: compileStoredConstraints(row.constraints) };
}
