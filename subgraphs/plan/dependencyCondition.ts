import type { z } from 'zod';
import { ConditionError, EvaluationError } from '#shared/conditions/evaluationError.ts';
import { compileExpressionOver, type ReaderCompiler } from '#shared/conditions/expression/compile.ts';
import { readOwn } from '#shared/conditions/facts.ts';

/** What the condition of a dependency looks at: the step that it waits for, as it ended. */
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

const read: ReaderCompiler<EndedSource> = (path, position) => {
  const [root, field = '', ...rest] = path.split('.');
  if (root !== 'source' || !fields.has(field) || (rest.length > 0 && field !== 'result'))
    throw new ConditionError(
      `expected source.status, source.result.<name>, source.attempts, source.failures or source.durationMs, got ${path.slice(0, 60)}`,
      position,
    );
  return (source) => rest.reduce<unknown>((value, name) => readOwn(value, name), readOwn(source, field));
};

/** @throws {ConditionError} where the text is no expression over `source`; nothing of it is ever run as code. */
export function compileDependencyCondition(text: string): (source: EndedSource) => boolean {
  return compileExpressionOver(text, read);
}

/** Refuses at the door what would not compile. */
export function checkCondition(text: string, context: z.RefinementCtx): void {
  try {
    compileDependencyCondition(text);
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
}

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
