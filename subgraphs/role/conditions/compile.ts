import { compileRanges } from './addresses.ts';
import { isClearance, isClearanceAttribute, rankClearance } from './clearance.ts';
import type { AttributeComparison, AttributeExpectations, Conditions } from './conditions.ts';
import { ConditionError, EvaluationError } from './evaluationError.ts';
import { compileExpression, type Predicate } from './expression/compile.ts';
import { compileReader, type FactReader } from './facts.ts';
import { compileGeo } from './geo.ts';
import { compare, operators } from './operators.ts';
import { compileTimeWindow } from './timeWindow.ts';

/** One condition with the name it has in reasons. */
export interface ConditionPart {
  readonly name: string;
  readonly test: Predicate;
}

/** Conditions that must all hold. */
export interface CompiledCondition {
  readonly parts: readonly ConditionPart[];
}

const readClearance = compileReader('subject.securityClearance');

/**
 * Compiles conditions to closures, once; undefined when there are none.
 * @throws {ConditionError} when a part makes no sense.
 */
export function compileConditions(conditions: Conditions): CompiledCondition | undefined {
  const parts: ConditionPart[] = [];
  const { timeBased, locationBased, contextBased, minClearance } = conditions;
  if (timeBased !== undefined) {
    const isWithin = compileTimeWindow(timeBased);
    parts.push({ name: 'time', test: (facts) => isWithin(facts.timeMs) });
  }
  if (locationBased?.allowedIpRanges !== undefined) {
    const isAllowed = compileRanges(locationBased.allowedIpRanges);
    parts.push({ name: 'ip', test: ({ ip }) => ip !== undefined && isAllowed(ip) });
  }
  if (locationBased?.geo !== undefined) parts.push({ name: 'geo', test: compileGeo(locationBased.geo) });
  if (minClearance !== undefined) parts.push(compileClearance(minClearance));
  for (const [attribute, test] of compileExpectations(contextBased?.requiredAttributes)) {
    parts.push({ name: `required.${attribute}`, test });
  }
  for (const [attribute, test] of compileExpectations(contextBased?.forbiddenAttributes)) {
    parts.push({ name: `forbidden.${attribute}`, test: (facts) => !test(facts) });
  }
  for (const comparison of conditions.attributes ?? []) parts.push(compileComparison(comparison));
  if (conditions.expression !== undefined) {
    parts.push({ name: 'expression', test: compileExpression(conditions.expression) });
  }
  return parts.length === 0 ? undefined : { parts };
}

/** For stored conditions that no longer compile: a condition that can never be decided, so that it denies. */
export function compileStoredConditions(conditions: Conditions | undefined): CompiledCondition | undefined {
  if (conditions === undefined) return undefined;
  try {
    return compileConditions(conditions);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const test = (): never => {
      throw new EvaluationError(message);
    };
    return { parts: [{ name: 'unreadable', test }] };
  }
}

function compileClearance(minimum: unknown): ConditionPart {
  if (!isClearance(minimum)) throw new ConditionError(`expected a clearance, got ${String(minimum).slice(0, 60)}`);
  const least = rankClearance(minimum);
  return {
    name: 'clearance',
    test: (facts) => {
      const clearance = readClearance(facts);
      return clearance !== undefined && rankClearance(clearance) >= least;
    },
  };
}

function compileComparison({ attribute, operator, value }: AttributeComparison): ConditionPart {
  if (!operators.includes(operator)) throw new ConditionError(`expected an operator, got ${String(operator)}`);
  if (value === undefined && operator !== 'exists') throw new ConditionError(`${operator}: expected a value, got none`);
  if (operator === 'in' && !Array.isArray(value)) throw new ConditionError('in: expected a list');
  const read = compileAttribute(attribute);
  const asClearance = isClearanceAttribute(attribute);
  return {
    name: `attribute.${attribute}`,
    test: (facts) => compare(operator, read(facts), value, { asClearance }),
  };
}

function* compileExpectations(expectations: AttributeExpectations | undefined): Generator<[string, Predicate]> {
  if (expectations === undefined) return;
  if (isNames(expectations)) {
    for (const attribute of expectations) {
      const read = compileAttribute(attribute);
      yield [attribute, (facts) => compare('exists', read(facts), true)];
    }
    return;
  }
  for (const [attribute, value] of Object.entries(expectations)) {
    const read = compileAttribute(attribute);
    const operator = value === null ? 'exists' : Array.isArray(value) ? 'in' : 'eq';
    yield [attribute, (facts) => compare(operator, read(facts), value)];
  }
}

function isNames(expectations: AttributeExpectations): expectations is readonly string[] {
  return Array.isArray(expectations);
}

function compileAttribute(attribute: string): FactReader {
  return compileReader(/^(?:subject|resource|environment)\./.test(attribute) ? attribute : `environment.${attribute}`);
}
