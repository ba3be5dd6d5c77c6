import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent, NewJob } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import {
  type AcceptanceCriterion,
  criteriaOf,
  failedReviews,
  type Judgements,
  judgements,
  judgeReview,
  openReviews,
  reviewsOpen,
} from './acceptance.ts';
import { requireVisible } from './access.ts';
import type { CallOptions, Commands } from './commands.ts';
import { stepEvents } from './events.ts';
import { handleFailure } from './failure.ts';
import type { PlanStepExecutionRow } from './rows.ts';
import { ended, failRun, isOpen, notActive } from './runEnds.ts';
import {
  changeRun,
  changeRunStep,
  findDetails,
  findRunStep,
  type LockedRun,
  lockRun,
  mirrorSteps,
  settleFinishing,
} from './runStore.ts';

/** Reviews of steps whose work is done. */
export function createReviews(commands: Commands) {
  return {
    /**
     * Takes over what a reviewer found: the step ends once all that is required is met, and its attempt has failed with the
     * first that is not.
     * @throws {SELF_APPROVAL_FORBIDDEN} {INVALID_STATE} {EXECUTION_NOT_ACTIVE} {NOT_FOUND} {VALIDATION_FAILED}
     */
    review(
      scope: RequestScope,
      target: { readonly executionId: string; readonly stepId: string },
      options: Pick<CallOptions, 'idempotencyKey'> & { readonly criteria: unknown },
    ) {
      const given = parseInput(judgements, options.criteria, ['criteria']);
      const input = { ...target, criteria: given };
      const call = { operation: 'reviewStep', input, idempotencyKey: options.idempotencyKey };
      return commands.run(scope, call, async (tx) => {
        const { executionId, stepId } = target;
        const { subject, tenantId } = scope.principal;
        if (!isId(executionId)) throw new PlatformError('NOT_FOUND', 'no such execution', { path: ['executionId'] });
        const [run] = await Promise.all([
          lockRun(tx, tenantId, executionId),
          requireVisible(tx, scope.principal, 'execution', executionId),
        ]);
        const before = isId(stepId) ? await findRunStep(tx, run, stepId) : null;
        if (!before) throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
        const outcome = await judge(tx, { run, before, by: subject }, () => given);
        const audit = [{ action: 'plan.reviewStep', resource: 'PlanExecution', resourceId: executionId }];
        return { response: target, ...outcome, audit };
      });
    },

    /**
     * The same by the outcome of a Confirm that asked for the reviews of an attempt: all that are open are answered with it.
     * @throws {SELF_APPROVAL_FORBIDDEN} {INVALID_STATE} {EXECUTION_NOT_ACTIVE} {NOT_FOUND}
     */
    async answerReviews(
      tx: SqlTransaction,
      target: {
        readonly tenantId: string;
        readonly executionId: string;
        readonly stepId: string;
        readonly attempt: number;
      },
      { met, note, by }: { readonly met: boolean; readonly note: string | null; readonly by: string },
    ): Promise<Judged> {
      const run = await lockRun(tx, target.tenantId, target.executionId);
      const before = await findRunStep(tx, run, target.stepId);
      if (!before) throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
      if (before.attempt !== target.attempt)
        throw new PlatformError('INVALID_STATE', `expected attempt ${target.attempt}, the step is at another`, {
          path: ['stepId'],
          details: { attempt: before.attempt },
        });
      return judge(tx, { run, before, by }, (criteria) =>
        reviewsOpen(criteria, before.criteria).map(({ id }) => ({ id, met, note })),
      );
    },
  };
}

interface Judged {
  readonly events: NewEvent[];
  readonly jobs: NewJob[];
}

/** Writes down what a reviewer found, under the run's lock, and what follows from it. */
async function judge(
  tx: SqlTransaction,
  { run, before, by: subject }: { readonly run: LockedRun; readonly before: PlanStepExecutionRow; readonly by: string },
  read: (criteria: readonly AcceptanceCriterion[]) => Judgements,
): Promise<Judged> {
  if (!isOpen(run)) throw notActive(run);
  if (before.status !== 'finishing' || before.openReviews === 0)
    throw new PlatformError(
      'INVALID_STATE',
      `expected a step that waits for a review, it is ${before.status.toUpperCase()}`,
      { path: ['stepId'] },
    );
  if (before.leaseSubject === subject || before.leaseOwner === subject)
    throw new PlatformError('SELF_APPROVAL_FORBIDDEN', 'expected a reviewer other than who did the work', {
      path: ['stepId'],
    });
  const criteria = criteriaOf(await findDetails(tx, before));
  const found = judgeReview(criteria, before.criteria, { given: read(criteria), by: subject, at: run.now });
  const step = await changeRunStep(tx, run, before.stepId, `criteria = $4::text::jsonb, open_reviews = $5`, [
    JSON.stringify(found),
    openReviews(criteria, found),
  ]);
  const refused = failedReviews(criteria, found);
  const reviewed = stepEvents('step.reviewed', step, run, { refused: refused.map(({ id }) => id) });
  if (refused.length > 0) {
    // Its place among the running ones was given up when the work was done.
    const busy = { ...(await changeRun(tx, run, 'running_steps = running_steps + 1')), now: run.now };
    const error = {
      message: `not accepted: ${refused.map(({ description }) => description).join('; ')}`.slice(0, 10_000),
      retryable: true,
    };
    const outcome = await handleFailure({ tx, run: busy, step, error, subject }, { ended, failRun });
    return { events: [...reviewed, ...outcome.events], jobs: outcome.jobs };
  }
  await mirrorSteps(tx, [step]);
  const finished = await settleFinishing(tx, run);
  if (finished.length === 0) return { events: reviewed, jobs: [] };
  const outcome = await ended(tx, run, finished, { released: 0, actor: subject });
  return { events: [...reviewed, ...outcome.events], jobs: outcome.jobs };
}
