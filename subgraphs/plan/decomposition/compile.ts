import { EvaluationError } from '#shared/conditions/evaluationError.ts';
import { type Attributes, readOwn } from '#shared/conditions/facts.ts';
import type { Effect, Method, StepTemplate } from './method.ts';
import { createTermCompiler, type Reader, type Situation } from './terms.ts';
import { compileBindings, unify, variablesOf } from './unify.ts';

export interface CompiledEffect {
  readonly fact: string;
  /** Commutes with others of the kind. */
  readonly increases: boolean;
  /** The fact's value after it; undefined for none. @throws {EvaluationError} */
  readonly apply: (situation: Situation) => unknown;
}

export interface CompiledMethod<Step extends StepTemplate> {
  readonly method: Method<Step>;
  /** Facts that decide whether and how it applies; not those it only increases. */
  readonly reads: ReadonlySet<string>;
  /** Values of its variables, every way there is; one without any where it has none. `tick` says whether to go on. */
  readonly matches: (task: Attributes, facts: Attributes, tick: () => boolean) => Iterable<Attributes>;
  /** Every parameter has a value and the precondition holds. @throws {EvaluationError} */
  readonly applies: (situation: Situation) => boolean;
  readonly subtasks: readonly { readonly task: string; readonly bind: (situation: Situation) => Attributes }[] | null;
  readonly step: {
    readonly template: Step;
    /** @throws {EvaluationError} */
    readonly name: (situation: Situation) => string;
    /** @throws {EvaluationError} */
    readonly description: (situation: Situation) => string;
    readonly effects: readonly CompiledEffect[];
  } | null;
}

/** @throws {ConditionError} where a precondition, an argument or a text names what there is not. */
export function compileMethod<Step extends StepTemplate>(method: Method<Step>): CompiledMethod<Step> {
  const compiler = createTermCompiler(method.parameters, variablesOf(method.bindings));
  const bindings = compileBindings(method.bindings, compiler);
  const holds = method.precondition === null ? () => true : compiler.condition(method.precondition);
  const { step } = method;
  return {
    method,
    reads: compiler.reads,
    matches: (task, facts, tick) => unify(bindings, { task, facts, vars: {} }, tick),
    applies: (situation) =>
      method.parameters.every((name) => readOwn(situation.task, name) !== undefined) && holds(situation),
    subtasks:
      method.subtasks?.map(({ task, arguments: given }) => {
        const readers = Object.entries(given).map(([name, term]) => [name, compiler.term(term)] as const);
        return { task, bind: (situation) => bind(readers, situation) };
      }) ?? null,
    step: step && {
      template: step,
      name: compiler.text(step.name ?? method.task),
      description: compiler.text(step.description),
      effects: step.effects.map((effect) => compileEffect(effect, (term) => compiler.term(term))),
    },
  };
}

/** An argument without a value is not given. */
function bind(readers: readonly (readonly [string, Reader])[], situation: Situation): Attributes {
  return Object.fromEntries(
    readers.flatMap(([name, read]) => {
      const value = read(situation);
      return value === undefined || value === null ? [] : [[name, value]];
    }),
  );
}

function compileEffect(effect: Effect, compileTerm: (term: unknown) => Reader): CompiledEffect {
  const { fact } = effect;
  if ('value' in effect) return { fact, increases: false, apply: compileTerm(effect.value) };
  const by = compileTerm(effect.increase);
  return {
    fact,
    increases: true,
    apply: (situation) => {
      const [before, more] = [readOwn(situation.facts, fact), by(situation)];
      const sum = typeof before === 'number' && typeof more === 'number' ? before + more : Number.NaN;
      if (!Number.isFinite(sum)) throw new EvaluationError(`expected numbers to increase facts.${fact}`);
      return sum;
    },
  };
}
