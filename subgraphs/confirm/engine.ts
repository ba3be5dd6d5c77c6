import { dismissAll, moveResponsible } from './conditions/responsible.ts';
import { awaited, breachAt, lapse } from './conditions/state.ts';
import {
  addDecision,
  approversOf,
  type Draft,
  definitionOf,
  putApprover,
  putStep,
  setPhase,
  stepOf,
  tell,
} from './draft.ts';
import { factsOf } from './facts.ts';
import { decisionTimeoutMs } from './inputs.ts';
import { reminderHoursOf } from './notifications.ts';
import { countBallots, type QuorumRule, type Tally } from './quorum/index.ts';
import type { ConfirmApproverRow, ConfirmRow, ConfirmStatusValue, PhaseValue, StepState } from './rows.ts';
import { advance, type StepDefinition } from './workflow/index.ts';

/** Who acts where nobody does. */
export const systemSubject = 'system:confirm';
const hourMs = 3_600_000;

/** Where a step was escalated, whoever decides first decides. */
const escalated: QuorumRule = { kind: 'single' };

/** The approvers whose decisions count now: of an open step those alone are closed whose part went back to who passed it on. */
export function electorate(draft: Draft, step: StepState): readonly ConfirmApproverRow[] {
  return approversOf(draft, step.id).filter(
    (row) =>
      row.level === step.level && row.state !== 'delegated' && !(row.state === 'closed' && step.status === 'active'),
  );
}

export function tallyOf(draft: Draft, step: StepState): Tally {
  const rule = step.level > 0 ? escalated : definitionOf(draft, step.id).quorum;
  return countBallots(
    rule,
    electorate(draft, step).map((row) => ({ ...row, scores: row.ballot?.scores })),
  );
}

/** Starts, skips and decides what can be, until people are waited for or the whole has its outcome. */
export function proceed(draft: Draft): void {
  const { workflow, confirm } = draft;
  if (workflow === null || confirm.status !== 'pending') return;
  const statuses = new Map(confirm.steps.map(({ id, status }) => [id, status]));
  const { moves, outcome } = advance(workflow, statuses, factsOf(confirm, Date.parse(draft.at)));
  for (const { id, to, reason } of moves) {
    if (to === 'active') {
      startStep(draft, id);
      continue;
    }
    putStep(draft, id, { status: to, decidedAt: draft.at, reason });
    closeApprovers(draft, id);
    if (to !== 'approved' && to !== 'rejected') continue;
    const decision = addDecision(draft, {
      stepId: id,
      approver: systemSubject,
      role: 'system',
      outcome: to,
      vote: to === 'approved' ? 'approve' : 'reject',
      rationale: reason,
    });
    tell(draft, 'confirm.decided', { decision });
  }
  // Of many at once, as conditions leave them out, in one event.
  const skipped = moves.flatMap(({ id, to }) => (to === 'skipped' || to === 'blocked' ? [id] : []));
  if (skipped.length > 0) tell(draft, 'confirm.steps.skipped', { stepIds: skipped });
  if (outcome === 'open') return;
  if (outcome === 'approved' && awaited(draft.confirm).length > 0) {
    awaitConditions(draft);
    return;
  }
  const rejected = draft.confirm.steps.find(({ status }) => status === 'rejected');
  resolve(draft, outcome, outcome === 'rejected' ? (rejected?.reason ?? 'a step was rejected') : null);
}

/** The votes approve: it is given the time that its conditions have. */
function awaitConditions(draft: Draft): void {
  const { confirm } = draft;
  const dates = awaited(confirm).flatMap(({ dueDate }) => (dueDate === null ? [] : [dueDate]));
  const expiresAt = [confirm.expiresAt!, ...dates].reduce((latest, date) => (date > latest ? date : latest));
  draft.confirm = { ...confirm, phase: 'conditional', expiresAt };
  draft.isRewritten = true;
  moveResponsible(draft);
  tell(draft, 'confirm.conditional', { conditions: awaited(confirm) });
}

function startStep(draft: Draft, stepId: string): void {
  const definition = definitionOf(draft, stepId);
  const { quorum } = definition;
  const atMs = Date.parse(draft.at);
  const dueAt = dueWithin(draft, atMs + decisionTimeOf(draft.confirm, definition));
  putStep(draft, stepId, { status: 'active', startedAt: draft.at, dueAt });
  for (const [index, row] of approversOf(draft, stepId).entries()) {
    const waits = quorum.kind !== 'sequential' || index === 0;
    putApprover(draft, {
      ...row,
      state: waits ? 'waiting' : 'queued',
      dueAt,
      waitingSince: waits ? draft.at : null,
    });
  }
  tell(draft, 'confirm.step.started', { stepId });
}

/** How long a step may take, ms: what it says, else 72 hours. A vote over options has the time of the whole, which is its own. */
export function decisionTimeOf(
  { workflow }: Pick<ConfirmRow, 'workflow'>,
  { timeout }: Pick<StepDefinition, 'timeout'>,
): number {
  if (timeout !== undefined) return timeout.durationMs;
  return workflow?.consensus === undefined ? decisionTimeoutMs : workflow.globalTimeoutMs;
}

/** No step is due later than the whole. */
export function dueWithin(draft: Draft, dueMs: number | null): string {
  const expiresMs = Date.parse(draft.confirm.expiresAt!);
  return new Date(Math.min(dueMs ?? expiresMs, expiresMs)).toISOString();
}

/** Looks whether a step has its outcome after a decision, and goes on from there. */
export function settle(draft: Draft, stepId: string, reason: string | null): void {
  const step = stepOf(draft, stepId)!;
  const { outcome } = tallyOf(draft, step);
  if (outcome === 'open') {
    callNext(draft, step);
    return;
  }
  endStep(draft, stepId, outcome, outcome === 'rejected' ? reason : null);
}

/** In a sequential step the next in order waits once the one before has decided. */
function callNext(draft: Draft, step: StepState): void {
  const voters = electorate(draft, step);
  if (voters.some(({ state }) => state === 'waiting')) return;
  const next = voters.find(({ state }) => state === 'queued');
  if (next) putApprover(draft, { ...next, state: 'waiting', waitingSince: draft.at });
}

export function endStep(draft: Draft, stepId: string, outcome: 'approved' | 'rejected', reason: string | null): void {
  putStep(draft, stepId, { status: outcome, decidedAt: draft.at, reason, dueAt: null });
  closeApprovers(draft, stepId);
  tell(draft, 'confirm.step.completed', { stepId, outcome });
  proceed(draft);
}

function closeApprovers(draft: Draft, stepId: string): void {
  for (const row of approversOf(draft, stepId))
    if (row.state === 'waiting' || row.state === 'queued') putApprover(draft, { ...row, state: 'closed' });
}

/** Ends the whole; what is open in it is skipped. */
export function resolve(
  draft: Draft,
  status: Exclude<ConfirmStatusValue, 'pending'>,
  reason: string | null,
  phase: PhaseValue = 'completed',
): void {
  for (const { id, status: standing } of draft.confirm.steps) {
    closeApprovers(draft, id);
    if (standing === 'pending' || standing === 'active')
      putStep(draft, id, { status: 'skipped', decidedAt: draft.at, dueAt: null, reason: 'the outcome was clear' });
  }
  const { conditions } = draft.confirm;
  if (conditions !== null && status !== 'approved') {
    draft.confirm = { ...draft.confirm, conditions: lapse(conditions, draft.at) };
    draft.isRewritten = true;
    dismissAll(draft);
  }
  draft.confirm = {
    ...draft.confirm,
    status,
    phase,
    // The frozen form has one reason; a rejection needs one.
    reason: status === 'rejected' ? (reason ?? draft.confirm.reason) : draft.confirm.reason,
    resolution: reason,
    resolvedAt: draft.at,
  };
  tell(draft, 'confirm.resolved', { outcome: status });
}

/** What has to be looked at next, and when. */
export function nextDeadline({ confirm }: Pick<Draft, 'confirm'>): string | null {
  if (confirm.status !== 'pending' || confirm.expiresAt === null) return null;
  let next = confirm.expiresAt;
  for (const step of confirm.steps) {
    if (step.status !== 'active' || step.dueAt === null) continue;
    // Nothing is done at the due time of a step without a timeout: it is late, and reminded of, until the whole ends.
    const endsAt = hasTimeout(confirm, step.id) ? step.dueAt : confirm.expiresAt;
    const reminder = reminderAt(confirm, step);
    if (reminder !== null && reminder < endsAt && reminder < next) next = reminder;
    if (endsAt < next) next = endsAt;
    if (step.notifyAt != null && step.notifyAt < next) next = step.notifyAt;
  }
  for (const condition of awaited(confirm)) {
    const at = breachAt(confirm, condition);
    if (at !== null && at < next) next = at;
  }
  return next;
}

const hasTimeout = ({ workflow }: Pick<ConfirmRow, 'workflow'>, stepId: string) =>
  workflow?.steps.find(({ id }) => id === stepId)?.timeout !== undefined;

export function reminderAt(confirm: Pick<ConfirmRow, 'notifications'>, step: StepState): string | null {
  const hours = reminderHoursOf(confirm)[step.reminders];
  return hours === undefined || step.startedAt === null
    ? null
    : new Date(Date.parse(step.startedAt) + hours * hourMs).toISOString();
}

/** The draft as it is to be stored. */
export function finish(draft: Draft, actor: string): void {
  const { confirm, before } = draft;
  draft.confirm = {
    ...confirm,
    version: before === null ? 1 : before.confirm.version + 1,
    nextDeadlineAt: nextDeadline(draft),
    updatedAt: draft.at,
    updatedBy: actor,
  };
}

export function phaseAfterVote(draft: Draft): void {
  if (draft.confirm.status === 'pending') setPhase(draft, 'in_progress');
}
