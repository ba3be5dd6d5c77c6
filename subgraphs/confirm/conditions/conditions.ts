import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { isBarred } from '../deciders.ts';
import { addDecision, type Draft, tell } from '../draft.ts';
import { resolve, systemSubject } from '../engine.ts';
import type { ConditionValue, ConfirmDecisionRow } from '../rows.ts';
import { askResponsible, dismissResponsible } from './responsible.ts';
import { awaited, breachAt } from './state.ts';

export interface GivenCondition {
  readonly text: string;
  readonly required: boolean;
  readonly dueDate: string | null;
  readonly responsible: string | null;
}

export interface Settlement {
  readonly conditionId: string;
  readonly status: 'fulfilled' | 'breached' | 'waived';
  readonly note: string | null;
  readonly isAdmin: boolean;
}

/** Nothing that is waited for takes longer. */
const maxWaitMs = 30 * 86_400_000;
const maxConditions = 500;

/** Conditions as the decision that sets them seals them. @throws {VALIDATION_FAILED} */
export function readConditions(draft: Draft, given: readonly GivenCondition[]) {
  const atMs = Date.parse(draft.at);
  const fail = (message: string, ...path: (string | number)[]) =>
    new PlatformError('VALIDATION_FAILED', message, { path: ['input', 'conditions', ...path] });
  if ((draft.confirm.conditions?.length ?? 0) + given.length > maxConditions)
    throw fail(`conditions: expected at most ${maxConditions} of one confirm`);
  return given.map((condition, index) => {
    const dueMs = condition.dueDate === null ? null : Date.parse(condition.dueDate);
    if (dueMs !== null && dueMs <= atMs) throw fail('dueDate: expected a time to come', index, 'dueDate');
    if (condition.required && dueMs !== null && dueMs > atMs + maxWaitMs)
      throw fail('dueDate: expected at most 30 days for what the outcome waits for', index, 'dueDate');
    return { id: newId(), ...condition, status: 'open' as const };
  });
}

/** Tracks what a decision has set from now on. */
export function trackConditions(
  draft: Draft,
  decision: ConfirmDecisionRow,
  conditions: ReturnType<typeof readConditions>,
): void {
  if (conditions.length === 0) return;
  const tracked = conditions.map(
    (condition): ConditionValue => ({
      ...condition,
      decisionId: decision.id,
      stepId: decision.stepId,
      setBy: decision.approver,
      settledBy: null,
      settledAt: null,
      note: null,
    }),
  );
  draft.confirm = { ...draft.confirm, conditions: [...(draft.confirm.conditions ?? []), ...tracked] };
  draft.isRewritten = true;
  for (const condition of tracked) askResponsible(draft, condition);
}

/**
 * Settles one condition, and with it the confirm where that decides it.
 * @throws {NOT_FOUND} {SELF_APPROVAL_FORBIDDEN} {PERMISSION_DENIED} {INVALID_STATE} {RATIONALE_REQUIRED}
 */
export function settleCondition(draft: Draft, principal: Principal, given: Settlement): void {
  const { confirm } = draft;
  const { subject } = principal;
  const condition = (confirm.conditions ?? []).find(({ id }) => id === given.conditionId);
  if (condition === undefined)
    throw new PlatformError('NOT_FOUND', 'the confirm has no such condition', { path: ['input', 'conditionId'] });
  if (isBarred(confirm, subject))
    throw new PlatformError('SELF_APPROVAL_FORBIDDEN', 'who asked for the approval does not settle its conditions');
  const isResponsible = condition.responsible === subject && given.status === 'fulfilled';
  if (condition.setBy !== subject && !given.isAdmin && !isResponsible)
    throw new PlatformError(
      'PERMISSION_DENIED',
      'only who set a condition, or confirm:admin, settles it; who is responsible says that it is fulfilled',
    );
  if (condition.status !== 'open')
    throw new PlatformError('INVALID_STATE', `the condition is ${condition.status.toUpperCase()} already`);
  if (given.status !== 'fulfilled' && (given.note?.trim().length ?? 0) === 0)
    throw new PlatformError('RATIONALE_REQUIRED', `a condition is ${given.status} with a note that says why`, {
      path: ['input', 'note'],
    });
  const role = condition.setBy === subject ? 'approver' : isResponsible ? 'responsible' : 'admin';
  settle(draft, condition, { by: subject, role: principal.roles[0] ?? role, ...given });
}

/** Whether a condition that the outcome waits for was not met in time; the confirm is rejected then. */
export function breachOverdue(draft: Draft, nowMs: number): boolean {
  const late = awaited(draft.confirm).find((condition) => {
    const at = breachAt(draft.confirm, condition);
    return at !== null && Date.parse(at) <= nowMs;
  });
  if (late === undefined) return false;
  settle(draft, late, { by: systemSubject, role: 'system', status: 'breached', note: 'not met in time' });
  return true;
}

interface Settled {
  readonly by: string;
  readonly role: string;
  readonly status: Settlement['status'];
  readonly note: string | null;
}

function settle(draft: Draft, before: ConditionValue, { by, role, status, note }: Settled): void {
  const condition: ConditionValue = { ...before, status, settledBy: by, settledAt: draft.at, note };
  const { id, text, required, dueDate, responsible } = condition;
  const decision = addDecision(draft, {
    stepId: condition.stepId,
    approver: by,
    role,
    outcome: `condition_${status}`,
    rationale: note,
    conditions: [{ id, text, required, dueDate, responsible, status }],
  });
  draft.confirm = {
    ...draft.confirm,
    conditions: draft.confirm.conditions!.map((one) => (one.id === id ? condition : one)),
  };
  draft.isRewritten = true;
  dismissResponsible(draft, condition);
  tell(draft, 'confirm.condition.settled', { decision, condition });
  if (draft.confirm.status !== 'pending' || !required) return;
  if (status === 'breached') {
    const why = note === null ? '' : ` (${note})`;
    resolve(draft, 'rejected', `a condition was breached: ${text}${why}`);
  } else if (draft.confirm.phase === 'conditional' && awaited(draft.confirm).length === 0) {
    resolve(draft, 'approved', null);
  }
}
