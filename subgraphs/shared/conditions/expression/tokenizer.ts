import { ConditionError } from '../evaluationError.ts';

export type TokenKind = 'identifier' | 'string' | 'number' | 'keyword' | 'comparison' | 'punctuation' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Keywords in upper case; strings with their escapes read. */
  readonly text: string;
  readonly position: number;
}

/** UTF-16 units of an expression. */
export const maxExpressionLength = 2_048;

const keywords = new Set(['AND', 'OR', 'NOT', 'IN', 'CONTAINS', 'STARTSWITH', 'EXISTS', 'TRUE', 'FALSE']);
const synonyms: ReadonlyMap<string, string> = new Map([
  ['&&', 'AND'],
  ['||', 'OR'],
  ['!', 'NOT'],
]);
const escapes: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['\\', '\\'],
  ['"', '"'],
  ["'", "'"],
]);

const spacePattern = /[ \t\r\n]+/y;
const wordPattern = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*/y;
const numberPattern = /-?\d{1,15}(?:\.\d{1,15})?(?![A-Za-z0-9_.])/y;
const signPattern = /==|!=|<=|>=|&&|\|\||[<>!()[\],]/y;

/** @throws {ConditionError} with the position of the first character that begins no token. */
export function tokenize(text: string): Token[] {
  if (text.length > maxExpressionLength) {
    throw new ConditionError(`expected at most ${maxExpressionLength} characters, got ${text.length}`, 0);
  }
  const tokens: Token[] = [];
  let position = 0;
  while (position < text.length) {
    const space = matchAt(spacePattern, text, position);
    if (space !== undefined) {
      position += space.length;
      continue;
    }
    const [token, length] = readToken(text, position);
    tokens.push(token);
    position += length;
  }
  tokens.push({ kind: 'end', text: 'the end', position });
  return tokens;
}

function readToken(text: string, position: number): [Token, number] {
  const word = matchAt(wordPattern, text, position);
  if (word !== undefined) {
    const upper = word.toUpperCase();
    const token: Token = keywords.has(upper)
      ? { kind: 'keyword', text: upper, position }
      : { kind: 'identifier', text: word, position };
    return [token, word.length];
  }
  const number = matchAt(numberPattern, text, position);
  if (number !== undefined) return [{ kind: 'number', text: number, position }, number.length];
  const sign = matchAt(signPattern, text, position);
  if (sign !== undefined) {
    const synonym = synonyms.get(sign);
    if (synonym !== undefined) return [{ kind: 'keyword', text: synonym, position }, sign.length];
    const kind = /^[()[\],]$/.test(sign) ? 'punctuation' : 'comparison';
    return [{ kind, text: sign, position }, sign.length];
  }
  const quote = text[position];
  if (quote === '"' || quote === "'") return readString(text, position, quote);
  throw new ConditionError(`expected a value or an operator, got ${JSON.stringify(text[position])}`, position);
}

function readString(text: string, start: number, quote: string): [Token, number] {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === quote) return [{ kind: 'string', text: value, position: start }, at + 1 - start];
    if (character !== '\\') {
      value += character;
      continue;
    }
    at += 1;
    const escaped = escapes.get(text[at] ?? '');
    if (escaped === undefined) throw new ConditionError('expected \\n, \\t, \\\\, \\" or \\\' after a backslash', at);
    value += escaped;
  }
  throw new ConditionError(`expected a closing ${quote}`, text.length);
}

function matchAt(pattern: RegExp, text: string, position: number): string | undefined {
  pattern.lastIndex = position;
  return pattern.exec(text)?.[0];
}
