import { type ConditionPart, compileConditions } from './compile.ts';
import type { Constraints } from './conditions.ts';
import { EvaluationError } from './evaluationError.ts';
import type { Facts } from './facts.ts';
import { compileReader } from './facts.ts';
import { describe } from './operators.ts';

export interface CompiledLimit {
  readonly attribute: string;
  readonly max: number;
}

/** Parts that must all hold for an allow permission to come through. */
export interface CompiledConstraints {
  readonly parts: readonly ConditionPart[];
  readonly limits: readonly CompiledLimit[];
  /** Decided by the request's own names alone: type, id, action, context and plan. */
  readonly isStatic: boolean;
}

/**
 * Undefined when nothing is constrained.
 * @throws {ConditionError} when a condition makes no sense.
 */
export function compileConstraints(constraints: Constraints | undefined): CompiledConstraints | undefined {
  if (constraints === undefined) return undefined;
  const parts: ConditionPart[] = [];
  const addList = (
    name: string,
    allowed: readonly string[] | undefined,
    read: (facts: Facts) => string | undefined,
  ) => {
    if (allowed === undefined) return;
    const values = new Set(allowed);
    const test = (facts: Facts) => {
      const value = read(facts);
      return value !== undefined && values.has(value);
    };
    parts.push({ name: `constraint.${name}`, test });
  };
  addList('resourceTypes', constraints.resourceTypes, (facts) => facts.resourceType);
  addList('resourceIds', constraints.resourceIds, (facts) => facts.resourceId);
  addList('actions', constraints.actions, (facts) => facts.action);
  addList('contextIds', constraints.contextIds, (facts) => facts.contextId);
  addList('planIds', constraints.planIds, (facts) => facts.planId);
  const staticParts = parts.length;
  const limits: CompiledLimit[] = [];
  for (const [attribute, max] of Object.entries(constraints.limits ?? {})) {
    limits.push({ attribute, max });
    parts.push({ name: `constraint.limits.${attribute}`, test: compileLimit(attribute, max) });
  }
  const conditions = constraints.conditions === undefined ? undefined : compileConditions(constraints.conditions);
  for (const part of conditions?.parts ?? []) parts.push({ name: `constraint.${part.name}`, test: part.test });
  return parts.length === 0 ? undefined : { parts, limits, isStatic: parts.length === staticParts };
}

/** For stored constraints that no longer compile: one that can never be decided, so that nothing comes through. */
export function compileStoredConstraints(constraints: Constraints | undefined): CompiledConstraints | undefined {
  try {
    return compileConstraints(constraints);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const test = (): never => {
      throw new EvaluationError(message);
    };
    return { parts: [{ name: 'constraint.unreadable', test }], limits: [], isStatic: false };
  }
}

function compileLimit(attribute: string, max: number): (facts: Facts) => boolean {
  const read = compileReader(`resource.${attribute}`);
  return (facts) => {
    const value = read(facts);
    if (value === undefined) return true;
    if (typeof value !== 'number') throw new EvaluationError(`${attribute}: expected a number, got ${describe(value)}`);
    return value <= max;
  };
}
