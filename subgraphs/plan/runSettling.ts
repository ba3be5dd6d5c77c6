import type { NewEvent, NewJob } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { escalate } from './escalations.ts';
import { stepEvents } from './events.ts';
import { handleFailure, lapsedError, timeoutError } from './failure.ts';
import { ended, failBlocked, failRun, isOpen } from './runEnds.ts';
import {
  changeRun,
  findOverdue,
  isAnythingDue,
  type LockedRun,
  lockRun,
  mirrorSteps,
  recoverLapsed,
  settleFinishing,
} from './runStore.ts';

/** Lapsed leases go back to pending, what was held only by time ends, and a run past its deadline fails. */
export async function settle(tx: SqlTransaction, run: LockedRun, actor: string) {
  const events: NewEvent[] = [];
  const jobs: NewJob[] = [];
  let current: LockedRun = run;
  const isLate = run.deadlineAt !== null && Date.parse(run.deadlineAt) <= Date.parse(run.now);
  // Most looks find nothing: that takes one statement, not one for each thing that may be due.
  if (!isLate && !(await isAnythingDue(tx, run))) return { run, events, jobs };
  const lapsed = await recoverLapsed(tx, run);
  if (lapsed.length > 0) {
    await mirrorSteps(tx, lapsed);
    current = {
      ...(await changeRun(tx, current, 'running_steps = running_steps - $3', [lapsed.length])),
      now: run.now,
    };
    events.push(...lapsed.flatMap((step) => stepEvents('step.lease.lapsed', step, current)));
  }
  if (isLate && isOpen(current)) {
    const failed = await failRun(tx, current, { reason: 'the run took longer than it may', actor });
    return { run: { ...failed.run, now: run.now }, events: [...events, ...failed.events], jobs };
  }
  for (const step of await findOverdue(tx, current)) {
    // What the step before it led to has changed the run.
    current = await lockRun(tx, run.tenantId, run.id);
    if (!isOpen(current)) return { run: current, events, jobs };
    const outcome =
      step.status === 'leased'
        ? await handleFailure(
            { tx, run: current, step, error: step.timedOut ? timeoutError : lapsedError, subject: actor },
            { ended, failRun },
          )
        : await failBlocked(tx, current, step, { reason: 'nobody decided about it in time', actor });
    events.push(...outcome.events);
    jobs.push(...outcome.jobs);
    current = await lockRun(tx, run.tenantId, run.id);
  }
  if (!isOpen(current)) return { run: current, events, jobs };
  events.push(...(await escalate(tx, current)));
  const finished = await settleFinishing(tx, current);
  if (finished.length > 0) {
    const outcome = await ended(tx, current, finished, { released: 0, actor });
    current = { ...outcome.run, now: run.now };
    events.push(...outcome.events);
    jobs.push(...outcome.jobs);
  }
  return { run: current, events, jobs };
}
