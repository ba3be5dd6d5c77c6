import { breachOverdue } from './conditions/conditions.ts';
import { consensusOf } from './consensus/state.ts';
import { closeConsensus } from './consensus/vote.ts';
import { addDecision, type Draft, definitionOf, putApprover, putStep, silent, tell } from './draft.ts';
import { dueWithin, endStep, reminderAt, resolve, systemSubject } from './engine.ts';
import { isTold } from './events.ts';
import { moveUp, type ResolvedLevels } from './levels.ts';
import type { StepState } from './rows.ts';

export interface DeadlineReport {
  readonly escalated: { readonly stepId: string; readonly level: number }[];
  readonly autoDecided: string[];
  readonly extended: string[];
  readonly reminded: string[];
  /** Steps whose new people were told that they wait for them. */
  readonly notified: string[];
  expired: boolean;
  /** A condition that the outcome waited for was not met in time. */
  breached: boolean;
}

const isDue = (at: string | null, nowMs: number) => at !== null && Date.parse(at) <= nowMs;

/** Steps whose time is over and which go to the next level then. */
export function stepsToEscalate(draft: Draft, nowMs: number): readonly StepState[] {
  return draft.confirm.steps.filter(
    (step) =>
      step.status === 'active' &&
      isDue(step.dueAt, nowMs) &&
      definitionOf(draft, step.id).timeout?.action === 'escalate',
  );
}

/** Does whatever is due by now, each thing once: what was done has moved the deadline. */
export function meetDeadlines(draft: Draft, nowMs: number, levels: ResolvedLevels): DeadlineReport {
  const report: DeadlineReport = {
    escalated: [],
    autoDecided: [],
    extended: [],
    reminded: [],
    notified: [],
    expired: false,
    breached: false,
  };
  if (breachOverdue(draft, nowMs)) return { ...report, breached: true };
  const isOver = isDue(draft.confirm.expiresAt, nowMs);
  for (const { id } of draft.confirm.steps) {
    const step = draft.confirm.steps.find((entry) => entry.id === id)!;
    if (draft.confirm.status !== 'pending') break;
    if (step.status !== 'active') continue;
    const timeout = definitionOf(draft, id).timeout;
    if (timeout !== undefined && isDue(step.dueAt, nowMs)) {
      if (timeout.action === 'auto_approve' || timeout.action === 'auto_reject') {
        autoDecide(draft, id, timeout.action === 'auto_approve' ? 'approved' : 'rejected');
        report.autoDecided.push(id);
      } else if (!isOver && timeout.action === 'extend') {
        extend(draft, step, nowMs + timeout.durationMs);
        report.extended.push(id);
      } else if (!isOver && timeout.action === 'escalate') {
        const level = moveUp(draft, step, levels.get(id) ?? [], {
          actor: systemSubject,
          role: 'system',
          reason: 'timeout',
        });
        if (level === null) return expire(draft, report);
        report.escalated.push({ stepId: id, level });
      }
      continue;
    }
    if (isDue(step.notifyAt ?? null, nowMs)) {
      notify(draft, id);
      report.notified.push(id);
    }
    if (isDue(reminderAt(draft.confirm, step), nowMs)) {
      putStep(draft, id, { reminders: step.reminders + 1 });
      const subjects = silent(draft, id).flatMap((row) => (isTold(row) ? [row.subject] : []));
      tell(draft, 'confirm.reminded', { stepId: id, subjects });
      report.reminded.push(id);
    }
  }
  return isOver && draft.confirm.status === 'pending' ? expire(draft, report) : report;
}

function expire(draft: Draft, report: DeadlineReport): DeadlineReport {
  if (consensusOf(draft.confirm) !== null) closeConsensus(draft);
  if (draft.confirm.status !== 'pending') {
    report.autoDecided.push(...draft.confirm.steps.map(({ id }) => id));
    return report;
  }
  const decision = addDecision(draft, {
    approver: systemSubject,
    role: 'system',
    outcome: 'expired',
    rationale: 'expired',
  });
  tell(draft, 'confirm.expired', { decision });
  resolve(draft, 'cancelled', 'expired', 'expired');
  report.expired = true;
  return report;
}

function autoDecide(draft: Draft, stepId: string, outcome: 'approved' | 'rejected'): void {
  const decision = addDecision(draft, {
    stepId,
    approver: systemSubject,
    role: 'system',
    outcome,
    vote: outcome === 'approved' ? 'approve' : 'reject',
    rationale: 'timeout',
  });
  tell(draft, 'confirm.decided', { decision });
  endStep(draft, stepId, outcome, 'timeout');
}

/** Tells those to whom the step was escalated a while ago. */
function notify(draft: Draft, stepId: string): void {
  putStep(draft, stepId, { notifyAt: null });
  const rows = silent(draft, stepId).filter(({ state, waitingSince }) => state === 'waiting' && waitingSince === null);
  for (const row of rows) putApprover(draft, { ...row, waitingSince: draft.at });
  tell(draft, 'confirm.notified', { stepId, subjects: rows.map(({ subject }) => subject) });
}

function extend(draft: Draft, step: StepState, dueMs: number): void {
  const dueAt = dueWithin(draft, dueMs);
  putStep(draft, step.id, { dueAt, extensions: step.extensions + 1 });
  for (const row of silent(draft, step.id)) putApprover(draft, { ...row, dueAt });
  tell(draft, 'confirm.extended', { stepId: step.id, dueAt });
}
