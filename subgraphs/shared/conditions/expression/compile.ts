import { isClearanceAttribute } from '../clearance.ts';
import { EvaluationError } from '../evaluationError.ts';
import { compileReader, type Facts } from '../facts.ts';
import { compare, describe } from '../operators.ts';
import { type Comparison, type Expression, type Operand, parseExpression } from './parser.ts';

export type Predicate<Subject = Facts> = (subject: Subject) => boolean;

/** How an attribute is read; throws {ConditionError} where there is none of this path. */
export type ReaderCompiler<Subject> = (path: string, position: number) => (subject: Subject) => unknown;

/**
 * Compiles an expression over subject, resource and environment into closures; the text is never run as code.
 * AND and OR stop at the first term that decides; what they skip cannot fail.
 * @throws {ConditionError} when the text is no expression.
 */
export function compileExpression(text: string): Predicate {
  return compileExpressionOver(text, compileReader);
}

/** The same over attributes of another kind. @throws {ConditionError} when the text is no expression. */
export function compileExpressionOver<Subject>(text: string, read: ReaderCompiler<Subject>): Predicate<Subject> {
  return compileNode(parseExpression(text), read);
}

/** Compiles what was parsed. */
export function compileNode<Subject>(node: Expression, read: ReaderCompiler<Subject>): Predicate<Subject> {
  switch (node.kind) {
    case 'and': {
      const terms = node.terms.map((term) => compileNode(term, read));
      return (facts) => terms.every((term) => term(facts));
    }
    case 'or': {
      const terms = node.terms.map((term) => compileNode(term, read));
      return (facts) => terms.some((term) => term(facts));
    }
    case 'not': {
      const term = compileNode(node.term, read);
      return (facts) => !term(facts);
    }
    case 'truth':
      return compileTruth(compileOperand(node.operand, read));
    case 'compare': {
      const left = compileOperand(node.left, read);
      const right = compileOperand(node.right, read);
      const { operator } = node;
      const asClearance = isOfClearances(node);
      return (facts) => compare(operator, left(facts), right(facts), { asClearance });
    }
    default:
      return node satisfies never;
  }
}

/** Whether its strings are ordered as clearances. */
export function isOfClearances({ asClearance, left, right }: Comparison): boolean {
  return asClearance ?? [left, right].some(isClearanceOperand);
}

function isClearanceOperand(operand: Operand): boolean {
  return operand.kind === 'attribute' && isClearanceAttribute(operand.path);
}

function compileOperand<Subject>(operand: Operand, read: ReaderCompiler<Subject>): (subject: Subject) => unknown {
  if (operand.kind === 'attribute') return read(operand.path, operand.position);
  const { value } = operand;
  return () => value;
}

/** A missing attribute is not true. */
function compileTruth<Subject>(read: (subject: Subject) => unknown): Predicate<Subject> {
  return (facts) => {
    const value = read(facts);
    if (value === undefined || typeof value === 'boolean') return value === true;
    throw new EvaluationError(`expected true or false, got ${describe(value)}`);
  };
}
