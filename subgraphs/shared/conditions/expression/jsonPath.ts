import { clearances, isClearance, rankClearance } from '../clearance.ts';
import { type Kind, kindOf, maxDepth } from '../flatFacts.ts';
import type { Operator } from '../operators.ts';
import { isOfClearances } from './compile.ts';
import type { Comparison, Expression } from './parser.ts';

/** Characters of a path; an expression that needs more has none. */
const maxPathLength = 65_536;

/** A predicate, and whether it may fail, which is `unknown` in jsonpath. */
interface Part {
  readonly text: string;
  readonly mayFail: boolean;
}

class Inexpressible extends Error {}

const never: Part = { text: '(1 == 2)', mayFail: false };
const always: Part = { text: '(1 == 1)', mayFail: false };
const fails: Part = { text: '(1 == "fails")', mayFail: true };

/**
 * An expression as an SQL/JSON path predicate over flat facts (ISO/IEC 9075-2:2023, 9.46; `flatten`): true, false and
 * unknown where the compiled expression says true, says false and throws. Whether one attribute contains another, or begins
 * with it, has no form there and fails. Null for what is too long, lies too deep or names what PostgreSQL has no text for.
 */
export function toJsonPath(expression: Expression): string | null {
  try {
    return partOf(expression).text;
  } catch (error) {
    if (error instanceof Inexpressible) return null;
    throw error;
  }
}

function partOf(node: Expression): Part {
  switch (node.kind) {
    case 'and':
      return node.terms.map(partOf).reduceRight((rest, term) => and(term, rest));
    case 'or':
      return node.terms.map(partOf).reduceRight((rest, term) => or(term, rest));
    case 'not':
      return not(partOf(node.term));
    case 'truth':
      if (node.operand.kind === 'attribute')
        return either([equalTo(node.operand.path, true), failsUnless(node.operand.path, ['b'])]);
      if (node.operand.value === undefined) return never;
      return typeof node.operand.value === 'boolean' ? (node.operand.value ? always : never) : fails;
    case 'compare':
      return compared(node);
    default:
      return node satisfies never;
  }
}

function bounded(text: string, mayFail: boolean): Part {
  if (text.length > maxPathLength) throw new Inexpressible();
  return { text, mayFail };
}

/** In jsonpath `unknown && false` is false: what has failed must not be decided by what stands behind it. */
function and(first: Part, rest: Part): Part {
  const guarded = first.mayFail ? `(((${first.text}) is unknown) || ${rest.text})` : rest.text;
  return bounded(`(${first.text} && ${guarded})`, first.mayFail || rest.mayFail);
}

function or(first: Part, rest: Part): Part {
  const guarded = first.mayFail ? `(!((${first.text}) is unknown) && ${rest.text})` : rest.text;
  return bounded(`(${first.text} || ${guarded})`, first.mayFail || rest.mayFail);
}

const not = ({ text, mayFail }: Part): Part => bounded(`(!(${text}))`, mayFail);

/** Of parts of which at most one is true or fails. */
function either(parts: readonly Part[]): Part {
  if (parts.length === 0) return never;
  return bounded(
    `(${parts.map(({ text }) => text).join(' || ')})`,
    parts.some(({ mayFail }) => mayFail),
  );
}

const all = (parts: readonly Part[]): Part =>
  bounded(
    `(${parts.map(({ text }) => text).join(' && ')})`,
    parts.some(({ mayFail }) => mayFail),
  );

function quoted(value: unknown): string {
  if (typeof value === 'string' && (!value.isWellFormed() || value.includes('\0'))) throw new Inexpressible();
  return JSON.stringify(value);
}

const clean = (text: string): Part => ({ text: `(${text})`, mayFail: false });

function at(under: string, path: string): string {
  if (path.split('.').length > maxDepth + 1) throw new Inexpressible();
  return `$.${under}.${quoted(path)}`;
}

const hasKind = (path: string, kind: Kind): Part => clean(`${at('k', path)} == "${kind}"`);
const isThere = (path: string): Part => clean(`exists(${at('k', path)})`);
const when = (condition: Part): Part => all([condition, fails]);
const failsUnless = (path: string, kinds: readonly Kind[]): Part =>
  when(clean([...kinds.map((kind) => `${at('k', path)} != "${kind}"`)].join(' && ')));

function equalTo(path: string, value: unknown): Part {
  const kind = kindOf(value);
  return kind === 's' || kind === 'n' || kind === 'b' ? clean(`${at(kind, path)} == ${quoted(value)}`) : never;
}

function listHas(path: string, value: unknown): Part {
  const kind = kindOf(value);
  return kind === 's' || kind === 'n' || kind === 'b' ? clean(`${at(`l${kind}`, path)}[*] == ${quoted(value)}`) : never;
}

const pairs = (left: (kind: string) => string, right: (kind: string) => string): Part =>
  clean(['s', 'n', 'b'].map((kind) => `${left(kind)} == ${right(kind)}`).join(' || '));
const valueAt = (path: string) => (kind: string) => at(kind, path);
const membersAt = (path: string) => (kind: string) => `${at(`l${kind}`, path)}[*]`;

type Side = { readonly path: string } | { readonly value: unknown };

const mirrored: Partial<Record<Operator, Operator>> = { gt: 'lt', gte: 'lte', lt: 'gt', lte: 'gte', eq: 'eq' };
const signs: Partial<Record<Operator, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' };

function compared(node: Comparison): Part {
  const [left, right] = [node.left, node.right].map(
    (operand): Side => (operand.kind === 'attribute' ? { path: operand.path } : { value: operand.value }),
  ) as [Side, Side];
  switch (node.operator) {
    case 'eq':
      return equal(left, right);
    case 'ne':
      return not(equal(left, right));
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return ordered(node.operator, [left, right], isOfClearances(node));
    case 'in':
      return isIn(left, right);
    case 'contains':
      return contains(left, right);
    case 'startsWith':
      return startsWith(left, right);
    case 'exists': {
      if (!('path' in left)) return fails;
      return 'value' in right && right.value === false ? not(isThere(left.path)) : isThere(left.path);
    }
    default:
      return node.operator satisfies never;
  }
}

function equal(left: Side, right: Side): Part {
  if ('value' in left) return 'path' in right ? equalTo(right.path, left.value) : fails;
  if ('value' in right) return equalTo(left.path, right.value);
  // The same list is itself.
  return left.path === right.path ? isThere(left.path) : pairs(valueAt(left.path), valueAt(right.path));
}

function ordered(operator: Operator, [left, right]: readonly [Side, Side], asClearance: boolean): Part {
  const sign = signs[operator]!;
  if ('value' in left) return 'path' in right ? ordered(mirrored[operator]!, [right, left], asClearance) : fails;
  const { path } = left;
  if ('value' in right) {
    const { value } = right;
    const kind = kindOf(value);
    if (kind === null) return never;
    if (kind === 'n') return either([clean(`${at('n', path)} ${sign} ${quoted(value)}`), failsUnless(path, ['n'])]);
    if (kind !== 's' || (asClearance && !isClearance(value))) return when(isThere(path));
    if (!asClearance) return either([clean(`${at('s', path)} ${sign} ${quoted(value)}`), failsUnless(path, ['s'])]);
    return either([oneOf(path, ranked(operator, value)), when(all([isThere(path), not(oneOf(path, clearances))]))]);
  }
  const other = right.path;
  const bothAre = (kind: Kind) => all([hasKind(path, kind), hasKind(other, kind)]);
  const numbers = clean(`${at('n', path)} ${sign} ${at('n', other)}`);
  const there = all([isThere(path), isThere(other)]);
  if (!asClearance)
    return either([
      numbers,
      clean(`${at('s', path)} ${sign} ${at('s', other)}`),
      when(all([there, not(bothAre('n')), not(bothAre('s'))])),
    ]);
  return either([
    numbers,
    ...clearances.map((clearance) => all([equalTo(other, clearance), oneOf(path, ranked(operator, clearance))])),
    when(all([there, not(bothAre('n')), not(all([oneOf(path, clearances), oneOf(other, clearances)]))])),
  ]);
}

const oneOf = (path: string, values: readonly string[]): Part => either(values.map((value) => equalTo(path, value)));

/** Clearances that stand so to this one. */
function ranked(operator: Operator, clearance: unknown): readonly string[] {
  const rank = rankClearance(clearance);
  return clearances.filter((_each, place) => {
    if (place === rank) return operator === 'gte' || operator === 'lte';
    return place > rank === (operator === 'gt' || operator === 'gte');
  });
}

function isIn(left: Side, right: Side): Part {
  if ('value' in right) {
    if (!('path' in left)) return fails;
    const { path } = left;
    if (kindOf(right.value) === null) return never;
    if (!Array.isArray(right.value)) return when(isThere(path));
    return either(
      (right.value as readonly unknown[]).flatMap((member) => [equalTo(path, member), listHas(path, member)]),
    );
  }
  const { path } = right;
  const unlisted = failsUnless(path, ['l']);
  if ('value' in left) {
    if (kindOf(left.value) === null) return never;
    const members = Array.isArray(left.value) ? (left.value as readonly unknown[]) : [left.value];
    return either([...members.map((member) => listHas(path, member)), unlisted]);
  }
  return either([
    pairs(valueAt(left.path), membersAt(path)),
    pairs(membersAt(left.path), membersAt(path)),
    when(all([isThere(left.path), clean(`${at('k', path)} != "l"`)])),
  ]);
}

function contains(left: Side, right: Side): Part {
  if ('value' in left) {
    if (!('path' in right)) return fails;
    const kind = kindOf(left.value);
    if (kind === null) return never;
    if (kind !== 'l') return when(isThere(right.path));
    return either((left.value as readonly unknown[]).map((member) => equalTo(right.path, member)));
  }
  const { path } = left;
  if ('path' in right)
    return either([
      pairs(membersAt(path), valueAt(right.path)),
      when(all([isThere(right.path), clean(`${at('k', path)} != "l"`)])),
    ]);
  const { value } = right;
  if (kindOf(value) === null) return never;
  if (typeof value !== 'string') return either([listHas(path, value), failsUnless(path, ['l'])]);
  const within = value === '' ? hasKind(path, 's') : clean(`${at('s', path)} like_regex ${quoted(value)} flag "q"`);
  return either([listHas(path, value), within, failsUnless(path, ['l', 's'])]);
}

function startsWith(left: Side, right: Side): Part {
  if ('value' in left) {
    if (!('path' in right)) return fails;
    return kindOf(left.value) === null ? never : when(isThere(right.path));
  }
  const { path } = left;
  if ('path' in right) return when(all([isThere(path), isThere(right.path)]));
  const { value } = right;
  if (kindOf(value) === null) return never;
  if (typeof value !== 'string') return when(isThere(path));
  return either([clean(`${at('s', path)} starts with ${quoted(value)}`), failsUnless(path, ['s'])]);
}
