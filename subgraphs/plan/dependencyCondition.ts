import type { z } from 'zod';
import { ConditionError, EvaluationError } from '#shared/conditions/evaluationError.ts';
import { compileExpressionOver, type ReaderCompiler } from '#shared/conditions/expression/compile.ts';
import { readOwn } from '#shared/conditions/facts.ts';

/** What conditions look at: a step, as it ended. */
export interface EndedSource {
  readonly status: 'COMPLETED' | 'SKIPPED';
  readonly result: unknown;
  readonly attempts: number;
  readonly failures: number;
  /** From its first start to its end; null where it never began. */
  readonly durationMs: number | null;
}

const fields: ReadonlySet<string> = new Set<keyof EndedSource>([
  'status',
  'result',
  'attempts',
  'failures',
  'durationMs',
]);

/** `source` is the step that a dependency waits for, `step` the one that is completed. */
type Root = 'source' | 'step';

const readerOf =
  (root: Root): ReaderCompiler<EndedSource> =>
  (path, position) => {
    const [first, field = '', ...rest] = path.split('.');
    if (first !== root || !fields.has(field) || (rest.length > 0 && field !== 'result'))
      throw new ConditionError(
        `expected ${root}.status, ${root}.result.<name>, ${root}.attempts, ${root}.failures or ${root}.durationMs, got ${path.slice(0, 60)}`,
        position,
      );
    return (source) => rest.reduce<unknown>((value, name) => readOwn(value, name), readOwn(source, field));
  };

/** @throws {ConditionError} where the text is no expression over the root; nothing of it is ever run as code. */
export function compileStepCondition(text: string, root: Root): (source: EndedSource) => boolean {
  return compileExpressionOver(text, readerOf(root));
}

export const compileDependencyCondition = (text: string) => compileStepCondition(text, 'source');

/** Refuses at the door what would not compile. */
export const checkConditionOver =
  (root: Root) =>
  (text: string, context: z.RefinementCtx): void => {
    try {
      compileStepCondition(text, root);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
  };

export const checkCondition = checkConditionOver('source');

export interface Verdict {
  readonly holds: boolean;
  /** Why it could not be decided; then it holds. */
  readonly error?: string;
}

/** What cannot be decided waives nothing: a successor would start without what it waits for. */
export function judge(condition: string, source: EndedSource): Verdict {
  try {
    return { holds: compileDependencyCondition(condition)(source) };
  } catch (error) {
    if (!(error instanceof EvaluationError) && !(error instanceof ConditionError)) throw error;
    return { holds: true, error: error.message };
  }
}
