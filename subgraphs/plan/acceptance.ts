import { z } from 'zod';
import { ConditionError, EvaluationError } from '#shared/conditions/evaluationError.ts';
import { PlatformError } from '#shared/errors.ts';
import { text } from '#shared/validation.ts';
import { checkConditionOver, compileStepCondition, type EndedSource } from './dependencyCondition.ts';

const criterionId = text({ min: 1, max: 255 });

/** What a step is held against when its work is done; one without an id is named by its place. */
export const acceptanceCriteria = z
  .array(
    z
      .object({
        id: criterionId.nullish(),
        description: text({ min: 1, max: 2_000 }),
        type: z.enum(['FUNCTIONAL', 'NON_FUNCTIONAL', 'QUALITY']).nullish(),
        verification: z.enum(['MANUAL', 'AUTOMATED', 'REVIEW']).nullish(),
        condition: text({ min: 1, max: 2_000 }).superRefine(checkConditionOver('step')).nullish(),
        required: z.boolean().nullish(),
      })
      .refine(
        ({ verification, condition }) => (verification === 'AUTOMATED') === (condition != null),
        'expected a condition with AUTOMATED, and with nothing else',
      ),
  )
  .max(50)
  .transform((list): readonly AcceptanceCriterion[] =>
    list.map(({ id, type, verification, condition, required, description }, at) => ({
      ...{ id: id ?? `criterion-${at + 1}`, description },
      ...{ type: type ?? 'FUNCTIONAL', verification: verification ?? 'MANUAL', required: required ?? true },
      ...(condition == null ? {} : { condition }),
    })),
  )
  .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, 'expected each criterion once');

export interface AcceptanceCriterion {
  readonly id: string;
  readonly description: string;
  readonly type: 'FUNCTIONAL' | 'NON_FUNCTIONAL' | 'QUALITY';
  /** By who completes the step, by its condition, or by somebody else once the work is done. */
  readonly verification: 'MANUAL' | 'AUTOMATED' | 'REVIEW';
  /** Of an automated one. */
  readonly condition?: string;
  /** Whether the step ends without it. */
  readonly required: boolean;
}

/** How a criterion was found to stand. */
export interface CriterionJudgement {
  readonly id: string;
  readonly met: boolean;
  /** Null where its condition decided. */
  readonly by: string | null;
  readonly at: string;
  readonly note: string | null;
}

/** What an agent or a reviewer says of criteria. */
export const judgements = z
  .array(z.object({ id: criterionId, met: z.boolean(), note: text({ max: 2_000 }).nullish() }))
  .min(1)
  .max(50)
  .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, 'expected each criterion once');
export type Judgements = z.output<typeof judgements>;

/** The criteria of stored details; lists that were kept as given before they had a form bind nobody. */
export function criteriaOf({ acceptanceCriteria: list }: { readonly acceptanceCriteria?: unknown }) {
  return (Array.isArray(list) ? list : []).flatMap((entry: unknown, at): AcceptanceCriterion[] => {
    const given = (typeof entry === 'string' ? { description: entry } : (entry ?? {})) as Partial<AcceptanceCriterion>;
    if (typeof given.description !== 'string') return [];
    if (given.verification !== undefined && given.required !== undefined) return [given as AcceptanceCriterion];
    const id = `criterion-${at + 1}`;
    return [{ id, description: given.description, type: 'FUNCTIONAL', verification: 'MANUAL', required: false }];
  });
}

export type CriterionState = AcceptanceCriterion & {
  readonly status: 'PENDING' | 'MET' | 'NOT_MET';
  readonly judgement: CriterionJudgement | null;
};

/** The criteria with what was found of them last. */
export function criterionStates(
  details: { readonly acceptanceCriteria?: unknown },
  found: readonly CriterionJudgement[],
): CriterionState[] {
  const byId = new Map(found.map((judgement) => [judgement.id, judgement]));
  return criteriaOf(details).map((criterion) => {
    const judgement = byId.get(criterion.id) ?? null;
    return { ...criterion, status: judgement === null ? 'PENDING' : judgement.met ? 'MET' : 'NOT_MET', judgement };
  });
}

/** Required ones that have not been found to be met. */
const openOf = (criteria: readonly AcceptanceCriterion[], found: readonly CriterionJudgement[]) => {
  const met = new Set(found.flatMap(({ id, met: holds }) => (holds ? [id] : [])));
  return criteria.filter(({ id, required }) => required && !met.has(id));
};

/** Reviews that the end of the step waits for. */
export const reviewsOpen = (criteria: readonly AcceptanceCriterion[], found: readonly CriterionJudgement[]) =>
  openOf(criteria, found).filter(({ verification }) => verification === 'REVIEW');

export const openReviews = (criteria: readonly AcceptanceCriterion[], found: readonly CriterionJudgement[]): number =>
  reviewsOpen(criteria, found).length;

interface Judging {
  readonly given: Judgements;
  readonly by: string;
  readonly at: string;
}

function readJudgements(
  criteria: readonly AcceptanceCriterion[],
  verification: AcceptanceCriterion['verification'],
  { given, by, at }: Judging,
): CriterionJudgement[] {
  const known = new Set(criteria.filter((one) => one.verification === verification).map(({ id }) => id));
  return given.map(({ id, met, note }, place) => {
    if (!known.has(id))
      throw new PlatformError(
        'VALIDATION_FAILED',
        `criteria.${place}.id: expected a criterion of the step that is judged by ${verification}, got ${id}`,
        {
          path: ['criteria', place, 'id'],
        },
      );
    return { id, met, by, at, note: note ?? null };
  });
}

function judgeCondition(
  { id, condition = '' }: AcceptanceCriterion,
  step: EndedSource,
  at: string,
): CriterionJudgement {
  try {
    return { id, met: compileStepCondition(condition, 'step')(step), by: null, at, note: null };
  } catch (error) {
    if (!(error instanceof EvaluationError) && !(error instanceof ConditionError)) throw error;
    // What cannot be decided has not been shown.
    return { id, met: false, by: null, at, note: error.message };
  }
}

/**
 * Holds a step that is about to be completed against its criteria: conditions are evaluated, the agent's own judgements
 * taken over, reviews left to others.
 * @throws {ACCEPTANCE_NOT_MET} where one that is required is not met, or not judged. @throws {VALIDATION_FAILED}
 */
export function judgeCompletion(
  criteria: readonly AcceptanceCriterion[],
  step: EndedSource,
  judging: Judging,
): readonly CriterionJudgement[] {
  const found = [
    ...readJudgements(criteria, 'MANUAL', judging),
    ...criteria.flatMap((one) => (one.verification === 'AUTOMATED' ? [judgeCondition(one, step, judging.at)] : [])),
  ];
  const open = openOf(criteria, found).filter(({ verification }) => verification !== 'REVIEW');
  if (open.length === 0) return found;
  const judged = new Map(found.map((judgement) => [judgement.id, judgement]));
  const [first] = open;
  throw new PlatformError(
    'ACCEPTANCE_NOT_MET',
    `${first!.id}: expected it to be met, ${judged.has(first!.id) ? 'it is not' : 'it was not judged'}: ${first!.description}`.slice(
      0,
      2_000,
    ),
    {
      path: ['criteria'],
      details: { criteria: open.map(({ id }) => ({ id, status: judged.has(id) ? 'NOT_MET' : 'PENDING' })) },
    },
  );
}

/** What a reviewer found, in place of what was found of the same criteria before. @throws {VALIDATION_FAILED} */
export function judgeReview(
  criteria: readonly AcceptanceCriterion[],
  before: readonly CriterionJudgement[],
  judging: Judging,
): readonly CriterionJudgement[] {
  const found = readJudgements(criteria, 'REVIEW', judging);
  const renewed = new Set(found.map(({ id }) => id));
  return [...before.filter(({ id }) => !renewed.has(id)), ...found];
}

/** Required reviews that were answered with no. */
export function failedReviews(
  criteria: readonly AcceptanceCriterion[],
  found: readonly CriterionJudgement[],
): readonly AcceptanceCriterion[] {
  const refused = new Set(found.flatMap(({ id, met }) => (met ? [] : [id])));
  return criteria.filter(({ id, required, verification }) => required && verification === 'REVIEW' && refused.has(id));
}
