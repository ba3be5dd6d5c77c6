import { isClearanceAttribute } from '../clearance.ts';
import { EvaluationError } from '../evaluationError.ts';
import { compileReader, type FactReader, type Facts } from '../facts.ts';
import { compare, describe } from '../operators.ts';
import { type Expression, type Operand, parseExpression } from './parser.ts';

export type Predicate = (facts: Facts) => boolean;

/**
 * Compiles an expression over subject, resource and environment into closures; the text is never run as code.
 * AND and OR stop at the first term that decides; what they skip cannot fail.
 * @throws {ConditionError} when the text is no expression.
 */
export function compileExpression(text: string): Predicate {
  return compileNode(parseExpression(text));
}

function compileNode(node: Expression): Predicate {
  switch (node.kind) {
    case 'and': {
      const terms = node.terms.map(compileNode);
      return (facts) => terms.every((term) => term(facts));
    }
    case 'or': {
      const terms = node.terms.map(compileNode);
      return (facts) => terms.some((term) => term(facts));
    }
    case 'not': {
      const term = compileNode(node.term);
      return (facts) => !term(facts);
    }
    case 'truth':
      return compileTruth(compileOperand(node.operand));
    case 'compare': {
      const left = compileOperand(node.left);
      const right = compileOperand(node.right);
      const { operator } = node;
      const asClearance = [node.left, node.right].some(isClearanceOperand);
      return (facts) => compare(operator, left(facts), right(facts), { asClearance });
    }
    default:
      return node satisfies never;
  }
}

function isClearanceOperand(operand: Operand): boolean {
  return operand.kind === 'attribute' && isClearanceAttribute(operand.path);
}

function compileOperand(operand: Operand): FactReader {
  if (operand.kind === 'attribute') return compileReader(operand.path, operand.position);
  const { value } = operand;
  return () => value;
}

/** A missing attribute is not true. */
function compileTruth(read: FactReader): Predicate {
  return (facts) => {
    const value = read(facts);
    if (value === undefined || typeof value === 'boolean') return value === true;
    throw new EvaluationError(`expected true or false, got ${describe(value)}`);
  };
}
