import { EvaluationError } from './evaluationError.ts';

/** Lowest first. */
export const clearances = ['public', 'internal', 'confidential', 'secret', 'top_secret'] as const;

export type Clearance = (typeof clearances)[number];

const ranks: ReadonlyMap<string, number> = new Map(clearances.map((name, rank) => [name, rank]));

/** Attributes whose values are ordered as clearances instead of by their letters. */
const clearanceNames = new Set(['securityClearance', 'clearance', 'clearanceLevel', 'classification']);

export function isClearanceAttribute(path: string): boolean {
  return clearanceNames.has(path.slice(path.lastIndexOf('.') + 1));
}

export function isClearance(value: unknown): value is Clearance {
  return typeof value === 'string' && ranks.has(value);
}

/** @throws {EvaluationError} when the value is no clearance. */
export function rankClearance(value: unknown): number {
  const rank = typeof value === 'string' ? ranks.get(value) : undefined;
  if (rank === undefined) throw new EvaluationError(`expected one of ${clearances.join(', ')}, got ${typeof value}`);
  return rank;
}
