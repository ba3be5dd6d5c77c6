import type { ConditionPart } from './compile.ts';
import type { Facts } from './facts.ts';

/** Names of the parts that do not hold, and whether the whole could not be decided. */
export interface Verdict {
  readonly failing: readonly string[];
  /** A part could not be decided and none failed. */
  readonly error: string | undefined;
}

const holds: Verdict = { failing: [], error: undefined };

/** Conjunction in Kleene's three-valued logic: a part that fails outweighs one that cannot be decided. */
export function evaluateParts(parts: readonly ConditionPart[], facts: Facts): Verdict {
  let failing: string[] | undefined;
  let error: string | undefined;
  for (const part of parts) {
    try {
      if (part.test(facts)) continue;
      failing ??= [];
      failing.push(part.name);
    } catch (thrown) {
      error ??= `${part.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    }
  }
  if (failing === undefined && error === undefined) return holds;
  return { failing: failing ?? [], error: failing === undefined ? error : undefined };
}
