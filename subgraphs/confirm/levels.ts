import { PlatformError } from '#shared/errors.ts';
import { barredOf } from './deciders.ts';
import {
  addDecision,
  approverOf,
  approversOf,
  compiledOf,
  type Draft,
  putApprover,
  putStep,
  setPhase,
  tell,
} from './draft.ts';
import { dueWithin } from './engine.ts';
import { type Routing, routingScopeOf } from './routing.ts';
import type { ConfirmRow, StepState } from './rows.ts';

/** The people that a level of a step's escalation stands for. */
export interface ResolvedLevel {
  /** From 1. */
  readonly level: number;
  readonly role: string | null;
  readonly subjects: readonly string[];
  readonly timeoutMs: number;
  /** Before its people are told; they may decide before. */
  readonly notificationDelayMs: number;
}

/** By step: its levels above the present one, resolved before the lock was taken. */
export type ResolvedLevels = ReadonlyMap<string, readonly ResolvedLevel[]>;

/** Levels above the present one of the active steps asked for. */
export async function levelsOf(
  routing: Routing,
  confirm: ConfirmRow,
  isWanted: (stepId: string) => boolean,
): Promise<ResolvedLevels> {
  const workflow = compiledOf(confirm);
  const scope = routingScopeOf(confirm);
  const levels = new Map<string, Awaited<ReturnType<Routing['levels']>>>();
  for (const step of confirm.steps) {
    if (step.status !== 'active' || !isWanted(step.id) || workflow === null) continue;
    levels.set(step.id, await routing.levels(scope, workflow.byId.get(step.id)!.definition, step));
  }
  return levels;
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
  for (const { level, role, subjects, timeoutMs, notificationDelayMs } of levels) {
    if (level <= step.level) continue;
    const eligible = [...new Set(subjects)].filter(
      (subject) =>
        !barredOf(draft.confirm).includes(subject) && approverOf(draft, step.id, subject)?.state !== 'decided',
    );
    if (eligible.length === 0) continue;
    const dueAt = dueWithin(draft, Date.parse(draft.at) + timeoutMs);
    const notifyAt = notificationDelayMs > 0 ? dueWithin(draft, Date.parse(draft.at) + notificationDelayMs) : null;
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
        waitingSince: notifyAt === null ? draft.at : null,
        decidedAt: null,
        conditionId: null,
      });
    putStep(draft, step.id, { level, dueAt, startedAt: draft.at, reminders: 0, notifyAt });
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
