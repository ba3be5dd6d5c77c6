import { ConditionError } from '#shared/conditions/evaluationError.ts';
import { type Attributes, readOwn } from '#shared/conditions/facts.ts';
import type { Binding, Term } from './method.ts';
import type { Reader, Situation } from './terms.ts';

type Slot = { readonly variable: string } | { readonly read: Reader };

interface CompiledBinding {
  readonly list: Reader;
  /** Values of an object by their keys; null where the pattern is one value. */
  readonly fields: readonly (readonly [string, Slot])[] | null;
  readonly whole: Slot | null;
}

/** Names of the variables that patterns bind. */
export function variablesOf(bindings: readonly Binding[]): readonly string[] {
  const names = bindings.flatMap(({ pattern }) =>
    (isObject(pattern) ? Object.values(pattern) : [pattern]).flatMap((term) => variableIn(term) ?? []),
  );
  return [...new Set(names)];
}

export function compileBindings(
  bindings: readonly Binding[],
  compiler: { path(text: string): Reader; term(value: unknown): Reader },
): readonly CompiledBinding[] {
  const toSlot = (term: Term): Slot => {
    const variable = variableIn(term);
    if (variable !== null) return { variable };
    return { read: compiler.term(typeof term === 'string' && term.startsWith('??') ? term.slice(1) : term) };
  };
  return bindings.map(({ in: path, pattern }) => ({
    list: compiler.path(path),
    fields: isObject(pattern) ? Object.entries(pattern).map(([key, term]) => [key, toSlot(term)] as const) : null,
    whole: isObject(pattern) ? null : toSlot(pattern),
  }));
}

/**
 * Every way in which the patterns match at once, a variable having one value in all of them: unification with ground
 * facts, depth first in the order of patterns and elements. `tick` is asked before each element whether to go on.
 */
export function* unify(
  bindings: readonly CompiledBinding[],
  situation: Situation,
  tick: () => boolean,
): Generator<Attributes, undefined> {
  const [binding, ...rest] = bindings;
  if (binding === undefined) {
    yield situation.vars;
    return;
  }
  const elements = binding.list(situation);
  if (!Array.isArray(elements)) return;
  for (const element of elements as readonly unknown[]) {
    if (!tick()) return;
    const vars = match(binding, element, situation);
    if (vars !== null) yield* unify(rest, { ...situation, vars }, tick);
  }
}

function match({ fields, whole }: CompiledBinding, element: unknown, situation: Situation): Attributes | null {
  if (whole !== null) return matchSlot(whole, element, situation, situation.vars);
  if (!isObject(element)) return null;
  let vars: Attributes | null = situation.vars;
  for (const [key, slot] of fields!) {
    vars = matchSlot(slot, readOwn(element, key), situation, vars);
    if (vars === null) return null;
  }
  return vars;
}

function matchSlot(slot: Slot, value: unknown, situation: Situation, vars: Attributes): Attributes | null {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return null;
  if ('read' in slot) return slot.read({ ...situation, vars }) === value ? vars : null;
  const known = readOwn(vars, slot.variable);
  if (known === undefined) return { ...vars, [slot.variable]: value };
  return known === value ? vars : null;
}

/** The variable that a term is; null for a value. @throws {ConditionError} where its name is none. */
function variableIn(term: unknown): string | null {
  if (typeof term !== 'string' || !term.startsWith('?') || term.startsWith('??')) return null;
  const name = term.slice(1);
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name) || name === '__proto__')
    throw new ConditionError(`expected a variable such as ?name, got ${term.slice(0, 60)}`, 0);
  return name;
}

function isObject(value: unknown): value is Readonly<Record<string, Term>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
