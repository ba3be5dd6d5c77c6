import { ConditionError } from '../evaluationError.ts';
import type { Operator } from '../operators.ts';
import { type Token, tokenize } from './tokenizer.ts';

export type Literal = string | number | boolean | readonly (string | number | boolean)[];

export type Operand =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'attribute'; readonly path: string; readonly position: number };

export interface Comparison {
  readonly kind: 'compare';
  readonly operator: Operator;
  readonly left: Operand;
  readonly right: Operand;
  /** Order the strings as clearances. @default where an attribute is named as one */
  readonly asClearance?: boolean;
}

export type Expression =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Expression[] }
  | { readonly kind: 'not'; readonly term: Expression }
  | Comparison
  | { readonly kind: 'truth'; readonly operand: Operand };

/** Parentheses and NOTs inside each other. */
export const maxExpressionDepth = 32;
/** Operators, operands and list members together. */
export const maxExpressionNodes = 256;

const comparisons: ReadonlyMap<string, Operator> = new Map([
  ['==', 'eq'],
  ['!=', 'ne'],
  ['>', 'gt'],
  ['>=', 'gte'],
  ['<', 'lt'],
  ['<=', 'lte'],
  ['IN', 'in'],
  ['CONTAINS', 'contains'],
  ['STARTSWITH', 'startsWith'],
  ['EXISTS', 'exists'],
]);

interface Reader {
  readonly tokens: readonly Token[];
  at: number;
  nodes: number;
  depth: number;
}

/**
 * Parses by recursive descent, weakest first:
 * `or = and {OR and}`, `and = unary {AND unary}`, `unary = NOT unary | ( or ) | operand [operator operand | EXISTS]`,
 * `operand = attribute | string | number | TRUE | FALSE | [ literal {, literal} ]`. There are no calls.
 * @throws {ConditionError} with the position of what does not fit, and when a bound is passed.
 */
export function parseExpression(text: string): Expression {
  const reader: Reader = { tokens: tokenize(text), at: 0, nodes: 0, depth: 0 };
  const expression = readChain(reader, 'OR');
  if (peek(reader).kind !== 'end') throw unexpected(reader, 'AND, OR or the end');
  return expression;
}

function readChain(reader: Reader, word: 'AND' | 'OR'): Expression {
  const terms = [word === 'OR' ? readChain(reader, 'AND') : readUnary(reader)];
  while (accept(reader, 'keyword', word)) {
    count(reader);
    terms.push(word === 'OR' ? readChain(reader, 'AND') : readUnary(reader));
  }
  return terms.length === 1 ? terms[0]! : { kind: word === 'OR' ? 'or' : 'and', terms };
}

function readUnary(reader: Reader): Expression {
  const { position } = peek(reader);
  if (accept(reader, 'keyword', 'NOT')) {
    count(reader);
    return nested(reader, position, () => ({ kind: 'not', term: readUnary(reader) }));
  }
  if (accept(reader, 'punctuation', '(')) {
    return nested(reader, position, () => {
      const inner = readChain(reader, 'OR');
      if (!accept(reader, 'punctuation', ')')) throw unexpected(reader, ')');
      return inner;
    });
  }
  return readComparison(reader);
}

function nested(reader: Reader, position: number, read: () => Expression): Expression {
  reader.depth += 1;
  if (reader.depth > maxExpressionDepth) {
    throw new ConditionError(`expected at most ${maxExpressionDepth} levels`, position);
  }
  const inner = read();
  reader.depth -= 1;
  return inner;
}

function readComparison(reader: Reader): Expression {
  const left = readOperand(reader);
  const token = peek(reader);
  const operator = token.kind === 'comparison' || token.kind === 'keyword' ? comparisons.get(token.text) : undefined;
  if (operator === undefined) {
    if (left.kind === 'literal' && typeof left.value !== 'boolean') throw unexpected(reader, 'a comparison');
    return { kind: 'truth', operand: left };
  }
  reader.at += 1;
  count(reader);
  const right: Operand = operator === 'exists' ? { kind: 'literal', value: true } : readOperand(reader);
  return { kind: 'compare', operator, left, right };
}

function readOperand(reader: Reader): Operand {
  const token = peek(reader);
  if (token.kind === 'identifier') {
    count(reader);
    reader.at += 1;
    return { kind: 'attribute', path: token.text, position: token.position };
  }
  if (accept(reader, 'punctuation', '[')) return { kind: 'literal', value: readList(reader) };
  return { kind: 'literal', value: readLiteral(reader) };
}

function readList(reader: Reader): (string | number | boolean)[] {
  const members: (string | number | boolean)[] = [];
  if (accept(reader, 'punctuation', ']')) return members;
  do members.push(readLiteral(reader));
  while (accept(reader, 'punctuation', ','));
  if (!accept(reader, 'punctuation', ']')) throw unexpected(reader, ', or ]');
  return members;
}

function readLiteral(reader: Reader): string | number | boolean {
  const token = peek(reader);
  count(reader);
  reader.at += 1;
  if (token.kind === 'string') return token.text;
  if (token.kind === 'number') return Number(token.text);
  if (token.kind === 'keyword' && (token.text === 'TRUE' || token.text === 'FALSE')) return token.text === 'TRUE';
  reader.at -= 1;
  throw unexpected(reader, 'a value');
}

function peek(reader: Reader): Token {
  return reader.tokens[reader.at] ?? reader.tokens[reader.tokens.length - 1]!;
}

function accept(reader: Reader, kind: Token['kind'], text: string): boolean {
  const token = peek(reader);
  if (token.kind !== kind || token.text !== text) return false;
  reader.at += 1;
  return true;
}

function count(reader: Reader): void {
  reader.nodes += 1;
  if (reader.nodes <= maxExpressionNodes) return;
  throw new ConditionError(`expected at most ${maxExpressionNodes} operators and operands`, peek(reader).position);
}

function unexpected(reader: Reader, expected: string): ConditionError {
  const token = peek(reader);
  return new ConditionError(`expected ${expected}, got ${token.text.slice(0, 40)}`, token.position);
}
