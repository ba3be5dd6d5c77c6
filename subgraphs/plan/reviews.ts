import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { criteriaOf, failedReviews, judgements, judgeReview, openReviews } from './acceptance.ts';
import { requireVisible } from './access.ts';
import type { CallOptions, Commands } from './commands.ts';
import { stepEvents } from './events.ts';
import { handleFailure } from './failure.ts';
import { ended, failRun, isOpen, notActive } from './runEnds.ts';
import {
  changeRun,
  changeRunStep,
  findDetails,
  findRunStep,
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
        if (!isOpen(run)) throw notActive(run);
        if (before.status !== 'finishing' || before.openReviews === 0)
          throw new PlatformError(
            'INVALID_STATE',
            `expected a step that waits for a review, it is ${before.status.toUpperCase()}`,
            { path: ['stepId'] },
          );
        if (before.leaseSubject === subject)
          throw new PlatformError('SELF_APPROVAL_FORBIDDEN', 'expected a reviewer other than who did the work', {
            path: ['stepId'],
          });
        const criteria = criteriaOf(await findDetails(tx, before));
        const found = judgeReview(criteria, before.criteria, { given, by: subject, at: run.now });
        const step = await changeRunStep(tx, run, stepId, `criteria = $4::text::jsonb, open_reviews = $5`, [
          JSON.stringify(found),
          openReviews(criteria, found),
        ]);
        const audit = [{ action: 'plan.reviewStep', resource: 'PlanExecution', resourceId: executionId }];
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
          return { response: target, events: [...reviewed, ...outcome.events], jobs: outcome.jobs, audit };
        }
        await mirrorSteps(tx, [step]);
        const finished = await settleFinishing(tx, run);
        if (finished.length === 0) return { response: target, events: reviewed, jobs: [], audit };
        const outcome = await ended(tx, run, finished, { released: 0, actor: subject });
        return { response: target, events: [...reviewed, ...outcome.events], jobs: outcome.jobs, audit };
      });
    },
  };
}
