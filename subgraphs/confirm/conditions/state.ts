import type { ConditionValue, ConfirmRow } from '../rows.ts';

type Conditional = Pick<ConfirmRow, 'conditions' | 'phase' | 'expiresAt'>;

/** Conditions that the outcome waits for. */
export function awaited({ conditions }: Pick<ConfirmRow, 'conditions'>): readonly ConditionValue[] {
  return conditions === null ? [] : conditions.filter(({ required, status }) => required && status === 'open');
}

/** When a condition is breached if nobody settles it; null while the votes still run and it names no time. */
export function breachAt({ phase, expiresAt }: Conditional, { dueDate }: ConditionValue): string | null {
  return dueDate ?? (phase === 'conditional' ? expiresAt : null);
}

/** The conditions of a confirm that came to another end than its approval. */
export function lapse(conditions: readonly ConditionValue[], at: string): readonly ConditionValue[] {
  return conditions.map((condition) =>
    condition.status === 'open' ? { ...condition, status: 'lapsed', settledAt: at } : condition,
  );
}
