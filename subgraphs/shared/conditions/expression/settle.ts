import { EvaluationError } from '../evaluationError.ts';
import { compileNode, isOfClearances } from './compile.ts';
import type { Expression, Operand } from './parser.ts';

/** What is known of an attribute: its value, that it is asked for later, or that nobody can tell it. */
export type Known = { readonly value: unknown } | 'later' | 'untold';

const truth = (value: unknown): Expression => ({ kind: 'truth', operand: { kind: 'literal', value } });

/** Stands for what cannot be evaluated: it is neither true nor false wherever it is asked. */
const failing = truth('cannot be evaluated');

/** True or false where an expression is settled, null where it has still to be asked. */
export function verdictOf(expression: Expression): boolean | null {
  if (expression === failing) return false;
  return expression.kind === 'truth' &&
    expression.operand.kind === 'literal' &&
    typeof expression.operand.value === 'boolean'
    ? expression.operand.value
    : null;
}

/**
 * Partial evaluation: what follows from the attributes that are known is worked out, what is left asks for the others
 * only, and decides and fails as the whole would have.
 */
export function settle(expression: Expression, know: (path: string) => Known): Expression {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return settleChain(expression, know);
    case 'not': {
      const term = settle(expression.term, know);
      if (term === failing) return failing;
      const known = verdictOf(term);
      return known === null ? { kind: 'not', term } : truth(!known);
    }
    case 'truth': {
      const operand = settleOperand(expression.operand, know);
      return operand === 'untold' ? failing : evaluated({ kind: 'truth', operand }, [operand]);
    }
    case 'compare': {
      const left = settleOperand(expression.left, know);
      const right = settleOperand(expression.right, know);
      if (left === 'untold' || right === 'untold') return failing;
      return evaluated({ ...expression, left, right, asClearance: isOfClearances(expression) }, [left, right]);
    }
    default:
      return expression satisfies never;
  }
}

/** Terms that change nothing are left out, those behind one that decides or fails are never asked. */
function settleChain(
  { kind, terms }: Extract<Expression, { kind: 'and' | 'or' }>,
  know: (path: string) => Known,
): Expression {
  const left: Expression[] = [];
  for (const term of terms) {
    const settled = settle(term, know);
    const known = settled === failing ? null : verdictOf(settled);
    if (known === (kind === 'and')) continue;
    left.push(settled);
    if (known !== null || settled === failing) break;
  }
  if (left.length === 0) return truth(kind === 'and');
  return left.length === 1 ? left[0]! : { kind, terms: left };
}

function settleOperand(operand: Operand, know: (path: string) => Known): Operand | 'untold' {
  if (operand.kind === 'literal') return operand;
  const known = know(operand.path);
  if (known === 'untold') return 'untold';
  return known === 'later' ? operand : { kind: 'literal', value: known.value };
}

function evaluated(expression: Expression, operands: readonly Operand[]): Expression {
  if (operands.some(({ kind }) => kind === 'attribute')) return expression;
  try {
    return truth(compileNode(expression, () => () => undefined)(null));
  } catch (error) {
    if (error instanceof EvaluationError) return failing;
    throw error;
  }
}
