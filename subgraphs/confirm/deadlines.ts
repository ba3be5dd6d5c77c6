import { PlatformError } from '#shared/errors.ts';
import { consensusOf } from './consensus/state.ts';
import { closeConsensus } from './consensus/vote.ts';
import { silent } from './decide.ts';
import {
  addDecision,
  approverOf,
  approversOf,
  type Draft,
  definitionOf,
  putApprover,
  putStep,
  setPhase,
  tell,
} from './draft.ts';
import { dueWithin, endStep, reminderAt, resolve, systemSubject } from './engine.ts';
import type { StepState } from './rows.ts';

/** The people that a level of a step's escalation stands for. */
export interface ResolvedLevel {
  /** From 1. */
  readonly level: number;
  readonly role: string | null;
  readonly subjects: readonly string[];
  readonly timeoutMs: number;
}

/** By step: its levels above the present one, resolved before the lock was taken. */
export type ResolvedLevels = ReadonlyMap<string, readonly ResolvedLevel[]>;

export interface DeadlineReport {
  readonly escalated: { readonly stepId: string; readonly level: number }[];
  readonly autoDecided: string[];
  readonly extended: string[];
  readonly reminded: string[];
  expired: boolean;
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
  const report: DeadlineReport = { escalated: [], autoDecided: [], extended: [], reminded: [], expired: false };
  const isOver = isDue(draft.confirm.expiresAt, nowMs);
  for (const { id } of draft.confirm.steps) {
    const step = draft.confirm.steps.find((entry) => entry.id === id)!;
    if (draft.confirm.status !== 'pending') break;
    if (step.status !== 'active') continue;
    const timeout = definitionOf(draft, id).timeout;
    if (isDue(step.dueAt, nowMs)) {
      if (timeout?.action === 'auto_approve' || timeout?.action === 'auto_reject') {
        autoDecide(draft, id, timeout.action === 'auto_approve' ? 'approved' : 'rejected');
        report.autoDecided.push(id);
      } else if (!isOver && timeout?.action === 'extend') {
        extend(draft, step, nowMs + timeout.durationMs);
        report.extended.push(id);
      } else if (!isOver && timeout?.action === 'escalate') {
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
    if (isDue(reminderAt(step), nowMs)) {
      putStep(draft, id, { reminders: step.reminders + 1 });
      const subjects = silent(draft, id).map(({ subject }) => subject);
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

function extend(draft: Draft, step: StepState, dueMs: number): void {
  const dueAt = dueWithin(draft, dueMs);
  putStep(draft, step.id, { dueAt, extensions: step.extensions + 1 });
  for (const row of silent(draft, step.id)) putApprover(draft, { ...row, dueAt });
  tell(draft, 'confirm.extended', { stepId: step.id, dueAt });
}

export interface EscalationCause {
  readonly actor: string;
  readonly role: string;
  readonly reason: string;
}

/**
 * Hands a step to the first level above that has somebody; who had it before may only look on. Answers the level, null
 * past the last one.
 */
export function moveUp(
  draft: Draft,
  step: StepState,
  levels: readonly ResolvedLevel[],
  cause: EscalationCause,
): number | null {
  for (const { level, role, subjects, timeoutMs } of levels) {
    if (level <= step.level) continue;
    const eligible = [...new Set(subjects)].filter(
      (subject) => subject !== draft.confirm.requestedBy && approverOf(draft, step.id, subject)?.state !== 'decided',
    );
    if (eligible.length === 0) continue;
    const dueAt = dueWithin(draft, Date.parse(draft.at) + timeoutMs);
    for (const row of approversOf(draft, step.id))
      if (row.state === 'waiting' || row.state === 'queued') putApprover(draft, { ...row, state: 'escalated' });
    for (const [position, subject] of eligible.entries())
      putApprover(draft, {
        tenantId: draft.confirm.tenantId,
        confirmId: draft.confirm.id,
        stepId: step.id,
        subject,
        role,
        weight: 1,
        required: false,
        position,
        state: 'waiting',
        vote: null,
        ballot: null,
        delegatedFrom: null,
        depth: 0,
        level,
        dueAt,
        waitingSince: draft.at,
        decidedAt: null,
      });
    putStep(draft, step.id, { level, dueAt, startedAt: draft.at, reminders: 0 });
    setPhase(draft, 'escalated');
    const decision = addDecision(draft, {
      stepId: step.id,
      approver: cause.actor,
      role: cause.role,
      outcome: 'escalated',
      rationale: cause.reason,
    });
    tell(draft, 'confirm.escalated', { decision, stepId: step.id, level, subjects: eligible });
    return level;
  }
  return null;
}

/** @throws {STEP_NOT_ACTIVE} {INVALID_STATE} when no level above has anybody. */
export function escalateByHand(draft: Draft, stepId: string, levels: ResolvedLevels, cause: EscalationCause): void {
  const step = draft.confirm.steps.find(({ id }) => id === stepId);
  if (step?.status !== 'active') throw new PlatformError('STEP_NOT_ACTIVE', 'the step is not open for decisions now');
  if (moveUp(draft, step, levels.get(stepId) ?? [], cause) === null)
    throw new PlatformError('INVALID_STATE', 'the step has no further level to escalate to');
}
