import { ConditionError, EvaluationError } from '#shared/conditions/evaluationError.ts';
import { compileExpressionOver, type ReaderCompiler } from '#shared/conditions/expression/compile.ts';
import { type Attributes, readOwn } from '#shared/conditions/facts.ts';

/** What a method looks at: the arguments of its task, the facts as the steps before have left them, and its variables. */
export interface Situation {
  readonly task: Attributes;
  readonly facts: Attributes;
  readonly vars: Attributes;
}

export type Reader = (situation: Situation) => unknown;

/** Compiles what stands in a method; notes the facts that it reads. */
export interface TermCompiler {
  /** Names of facts, without what lies in them. */
  readonly reads: ReadonlySet<string>;
  /** What stands at a path. @throws {ConditionError} */
  path(text: string): Reader;
  /** @throws {ConditionError} */
  condition(text: string): (situation: Situation) => boolean;
  /** Anything but a reference stands for itself. @throws {ConditionError} */
  term(value: unknown): Reader;
  /** @throws {ConditionError} The reader: {EvaluationError} where a placeholder has no text, number or truth value. */
  text(template: string): (situation: Situation) => string;
}

const placeholder = /\{((?:task|facts|vars)\.[A-Za-z0-9_.]*)\}/g;

export function createTermCompiler(parameters: readonly string[], variables: readonly string[] = []): TermCompiler {
  const reads = new Set<string>();
  const known = new Set(parameters);
  const bound = new Set(variables);

  const read: ReaderCompiler<Situation> = (path, position) => {
    const [root, first, ...rest] = path.split('.');
    if (!first || rest.some((name) => name === '') || (root !== 'task' && root !== 'facts' && root !== 'vars'))
      throw new ConditionError(
        `expected task.<parameter>, facts.<name> or vars.<variable>, got ${path.slice(0, 60)}`,
        position,
      );
    if (root === 'task' && !known.has(first))
      throw new ConditionError(`expected a parameter of the method, got ${path.slice(0, 60)}`, position);
    if (root === 'vars' && !bound.has(first))
      throw new ConditionError(`expected a variable that the bindings name, got ${path.slice(0, 60)}`, position);
    if (root === 'facts') reads.add(first);
    return (situation) => rest.reduce<unknown>((value, name) => readOwn(value, name), readOwn(situation[root], first));
  };

  return {
    reads,
    path: (text) => read(text, 0),
    condition: (text) => compileExpressionOver(text, read),
    term(value) {
      if (typeof value !== 'string' || !value.startsWith('$')) return () => value;
      if (!value.startsWith('$$')) return read(value.slice(1), 1);
      const literal = value.slice(1);
      return () => literal;
    },
    text(template) {
      // Split by a pattern with one group: literals and paths by turns.
      const parts = template.split(placeholder).map((part, at) => (at % 2 === 0 ? part : read(part, 0)));
      return (situation) =>
        parts
          .map((part) => {
            if (typeof part === 'string') return part;
            const value = part(situation);
            if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
              return String(value);
            throw new EvaluationError(`expected a value for each placeholder of "${template.slice(0, 60)}"`);
          })
          .join('');
    },
  };
}
