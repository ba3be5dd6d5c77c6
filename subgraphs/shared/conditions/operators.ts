import { rankClearance } from './clearance.ts';
import { EvaluationError } from './evaluationError.ts';

export const operators = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'startsWith', 'exists'] as const;

export type Operator = (typeof operators)[number];

export interface CompareOptions {
  /** Order the strings as clearances. @default false */
  readonly asClearance?: boolean;
}

/**
 * Compares two values. A missing value equals nothing (so `ne` is true) and stands in no order; it contains nothing.
 * `exists` asks whether the left value is there; with `false` on the right, whether it is not.
 * @throws {EvaluationError} when values that are there cannot be compared so, such as a number with a string.
 */
export function compare(operator: Operator, left: unknown, right: unknown, options: CompareOptions = {}): boolean {
  switch (operator) {
    case 'eq':
      return equals(left, right);
    case 'ne':
      return !equals(left, right);
    case 'gt':
      return order(left, right, options) > 0;
    case 'gte':
      return order(left, right, options) >= 0;
    case 'lt':
      return order(left, right, options) < 0;
    case 'lte':
      return order(left, right, options) <= 0;
    case 'in':
      return isIn(left, right);
    case 'contains':
      return contains(left, right);
    case 'startsWith':
      return startsWith(left, right);
    case 'exists':
      return isMissing(left) === (right === false);
    default:
      return operator satisfies never;
  }
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

function equals(left: unknown, right: unknown): boolean {
  return left === right && !isMissing(left);
}

/** Negative, 0 or positive; NaN, which is in no order with 0, when one is missing. */
function order(left: unknown, right: unknown, { asClearance }: CompareOptions): number {
  if (isMissing(left) || isMissing(right)) return Number.NaN;
  if (typeof left === 'number' && typeof right === 'number') return left === right ? 0 : left - right;
  if (asClearance) return rankClearance(left) - rankClearance(right);
  if (typeof left === 'string' && typeof right === 'string') return compareCodePoints(left, right);
  throw new EvaluationError(`expected two numbers or two strings, got ${describe(left)} and ${describe(right)}`);
}

/** Orders texts by code points, as PostgreSQL does: by UTF-16, what takes two units would stand before U+E000 and what follows. */
function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const [one, other] = [left.charCodeAt(at), right.charCodeAt(at)];
    if (one !== other) return rankUnit(one) - rankUnit(other);
  }
  return left.length - right.length;
}

/** Surrogates, 0xD800 to 0xDFFF, behind all other units. */
const rankUnit = (unit: number) => (unit < 0xd800 || unit > 0xdfff ? unit : unit + 0x10000);

/** A list on the left is in when one of its members is. */
function isIn(left: unknown, right: unknown): boolean {
  if (isMissing(left) || isMissing(right)) return false;
  if (!Array.isArray(right)) throw new EvaluationError(`expected a list, got ${describe(right)}`);
  const members: readonly unknown[] = right;
  if (Array.isArray(left)) return left.some((value) => members.some((member) => equals(member, value)));
  return members.some((member) => equals(member, left));
}

function contains(left: unknown, right: unknown): boolean {
  if (isMissing(left) || isMissing(right)) return false;
  if (Array.isArray(left)) return left.some((member) => equals(member, right));
  if (typeof left === 'string' && typeof right === 'string') return left.includes(right);
  throw new EvaluationError(`expected a list, or two strings, got ${describe(left)} and ${describe(right)}`);
}

function startsWith(left: unknown, right: unknown): boolean {
  if (isMissing(left) || isMissing(right)) return false;
  if (typeof left === 'string' && typeof right === 'string') return left.startsWith(right);
  throw new EvaluationError(`expected two strings, got ${describe(left)} and ${describe(right)}`);
}

export function describe(value: unknown): string {
  return Array.isArray(value) ? 'a list' : value === null ? 'null' : typeof value;
}
