import { permissionDenied } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { holds } from '#shared/rights.ts';
import { type GivenCondition, readConditions, trackConditions } from './conditions/conditions.ts';
import { isBarred, neededToDecide } from './deciders.ts';
import {
  addDecision,
  approverOf,
  approversOf,
  type Draft,
  definitionOf,
  putApprover,
  setPhase,
  stepOf,
  tell,
} from './draft.ts';
import { endStep, phaseAfterVote, resolve, settle, systemSubject, tallyOf } from './engine.ts';
import { moveUp, type ResolvedLevels } from './levels.ts';
import type { Scores, Vote } from './quorum/index.ts';
import type { RiskAssessment } from './risk.ts';
import type { ConfirmApproverRow, ConfirmRow, DecisionOutcome } from './rows.ts';
import { requireScores } from './scores.ts';

/** What an approver can say. */
export type GivenOutcome = Extract<
  DecisionOutcome,
  'approved' | 'rejected' | 'conditional_approval' | 'changes_requested' | 'abstained' | 'deferred' | 'delegated'
>;

export interface GivenDecision {
  readonly stepId: string | null;
  readonly outcome: GivenOutcome;
  readonly rationale: string | null;
  readonly conditions: readonly GivenCondition[];
  readonly delegateTo: string | null;
  readonly risk: RiskAssessment | null;
  readonly signature: string | null;
  /** By criterion. */
  readonly scores: Scores | null;
}

/** How often a part is passed on at most, where the step does not say less. */
export const maxDelegations = 3;

const votes: Partial<Record<DecisionOutcome, Vote>> = {
  approved: 'approve',
  conditional_approval: 'approve',
  rejected: 'reject',
  changes_requested: 'reject',
  abstained: 'abstain',
};

export interface DecideOptions {
  /** Levels above, resolved before the lock was taken. @default not looked up */
  readonly levels?: ResolvedLevels | null;
  /** Of those to whom the part may be passed on the ones that can decide. @default nobody was looked up: all */
  readonly able?: ReadonlySet<string> | undefined;
}

/**
 * One approver's decision of one step, and what follows from it. Answers false, with nothing to be stored, where a
 * rejection goes to the next level and its people have not been looked up.
 * @throws {SELF_APPROVAL_FORBIDDEN} {ALREADY_DECIDED} {NOT_AN_APPROVER} {STEP_NOT_ACTIVE} {RATIONALE_REQUIRED}
 * {DELEGATION_FORBIDDEN} {VALIDATION_FAILED} {PERMISSION_DENIED}
 */
export function decide(
  draft: Draft,
  principal: Principal,
  given: GivenDecision,
  { levels = null, able }: DecideOptions = {},
): boolean {
  if (draft.confirm.workflow?.consensus !== undefined)
    throw new PlatformError('INVALID_STATE', 'a vote over options is cast with castVote', {
      path: ['input', 'confirmId'],
    });
  const approver = requirePart(draft, principal, given.stepId);
  requireRight(draft.confirm, principal);
  const { stepId } = approver;
  const definition = definitionOf(draft, stepId);
  requireRationale(given, definition.minimumRationale);
  if (given.outcome === 'abstained' && definition.quorum.allowAbstention === false)
    throw new PlatformError('VALIDATION_FAILED', 'this step takes no abstention', { path: ['input', 'decision'] });
  const vote = votes[given.outcome] ?? null;
  const scores = requireScores(draft, approver, { vote, scores: given.scores });
  if (given.conditions.length > 0 && given.outcome !== 'conditional_approval')
    throw new PlatformError('VALIDATION_FAILED', 'conditions: only a conditional approval has any', {
      path: ['input', 'conditions'],
    });
  const conditions = readConditions(draft, given.conditions);
  const delegateTo =
    given.outcome === 'delegated' ? requireDelegate(draft, approver, { to: given.delegateTo, able }) : null;
  const decision = addDecision(draft, {
    stepId,
    approver: principal.subject,
    role: approver.role ?? principal.roles[0] ?? 'approver',
    outcome: given.outcome,
    vote,
    ballot: scores && { scores },
    rationale: given.rationale,
    conditions,
    delegateTo,
    risk: given.risk,
    signature: given.signature,
  });
  if (delegateTo !== null) {
    delegate(draft, approver, delegateTo);
    tell(draft, 'confirm.delegated', { decision });
    return true;
  }
  if (vote === null) {
    setPhase(draft, 'deferred');
    tell(draft, 'confirm.deferred', { decision });
    return true;
  }
  putApprover(draft, { ...approver, state: 'decided', vote, ballot: scores && { scores }, decidedAt: draft.at });
  trackConditions(draft, decision, conditions);
  phaseAfterVote(draft);
  tell(draft, 'confirm.decided', { decision });
  if (given.outcome === 'changes_requested') {
    // Sent back as a whole, whatever the others think of what will be another proposal.
    if (definition.onRejection === 'continue') endStep(draft, stepId, 'rejected', given.rationale);
    else resolve(draft, 'rejected', given.rationale);
    return true;
  }
  if (definition.onRejection === 'escalate') {
    const step = stepOf(draft, stepId)!;
    if (tallyOf(draft, step).outcome === 'rejected') {
      if (levels === null) return false;
      const cause = { actor: systemSubject, role: 'system', reason: given.rationale ?? 'rejected' };
      if (moveUp(draft, step, levels.get(stepId) ?? [], cause) !== null) return true;
    }
  }
  settle(draft, stepId, given.rationale);
  return true;
}

/** The part of the principal that waits for a decision. */
export function requirePart(draft: Draft, { subject }: Principal, stepId: string | null): ConfirmApproverRow {
  const { confirm } = draft;
  if (isBarred(confirm, subject))
    throw new PlatformError(
      'SELF_APPROVAL_FORBIDDEN',
      'who asked for the approval, or wrote what it is about, cannot decide it',
    );
  if (stepId !== null && stepOf(draft, stepId) === undefined)
    throw new PlatformError('NOT_FOUND', `the workflow has no step ${stepId}`, { path: ['input', 'stepId'] });
  const parts =
    stepId === null
      ? [...draft.approvers.values()].filter((row) => row.subject === subject && row.conditionId === null)
      : [approverOf(draft, stepId, subject)].filter((row) => row !== undefined);
  if (parts.length === 0) {
    const open = openPart(draft, subject, stepId);
    if (open !== null) return open;
  }
  const waiting = parts.find(({ state }) => state === 'waiting');
  if (waiting && stepOf(draft, waiting.stepId)?.status === 'active') return waiting;
  if (parts.some(({ state }) => state === 'decided'))
    throw new PlatformError('ALREADY_DECIDED', 'this approver has decided before; a decision stands');
  const isOut = ({ state, stepId: id }: ConfirmApproverRow) =>
    state === 'delegated' || state === 'escalated' || (state === 'closed' && stepOf(draft, id)?.status === 'active');
  if (parts.length === 0 || parts.some(isOut)) {
    if (parts.length > 0 || confirm.status === 'pending')
      throw new PlatformError('NOT_AN_APPROVER', 'the step does not wait for the caller');
    throw new PlatformError('STEP_NOT_ACTIVE', `the confirm is ${confirm.status.toUpperCase()}`);
  }
  throw new PlatformError('STEP_NOT_ACTIVE', 'the step is not open for decisions now', {
    details: { status: confirm.status.toUpperCase() },
  });
}

/** The part of somebody who was not named in a step that is open to all; who brought the confirm in has none. */
function openPart(draft: Draft, subject: string, stepId: string | null): ConfirmApproverRow | null {
  const { confirm } = draft;
  const step = confirm.steps.find(
    ({ id, status }) =>
      status === 'active' && (stepId === null || id === stepId) && definitionOf(draft, id).openToAll === true,
  );
  if (step === undefined || confirm.status !== 'pending') return null;
  if (confirm.createdBy === subject)
    throw new PlatformError('SELF_APPROVAL_FORBIDDEN', 'who brought the confirm in cannot decide it');
  return {
    tenantId: confirm.tenantId,
    confirmId: confirm.id,
    stepId: step.id,
    subject,
    role: null,
    weight: 1,
    required: false,
    position: approversOf(draft, step.id).length,
    state: 'waiting',
    vote: null,
    ballot: null,
    delegatedFrom: null,
    depth: 0,
    level: step.level,
    dueAt: step.dueAt ?? confirm.expiresAt!,
    waitingSince: step.startedAt,
    decidedAt: null,
    conditionId: null,
  };
}

function requireRationale({ outcome, rationale }: GivenDecision, minimum: number): void {
  const isRefusal = outcome === 'rejected' || outcome === 'changes_requested';
  const least = Math.max(minimum, isRefusal ? 1 : 0);
  const length = rationale?.trim().length ?? 0;
  if (outcome === 'delegated' || outcome === 'deferred' || length >= least) return;
  throw new PlatformError('RATIONALE_REQUIRED', `expected a rationale of at least ${least} characters, got ${length}`, {
    path: ['input', 'rationale'],
  });
}

/** What is needed beside the right to decide confirms, by the caller's roles and token. @throws {PERMISSION_DENIED} */
function requireRight(confirm: ConfirmRow, principal: Principal): void {
  const needed = neededToDecide(confirm);
  if (needed === null) return;
  const { permission, contextId, planId } = needed;
  const target = { type: 'Plan', id: confirm.targetId, ...(planId === null ? {} : { planId }) };
  if (!holds(principal, permission, contextId === null ? target : { ...target, contextId }))
    throw permissionDenied(permission);
}

function requireDelegate(
  draft: Draft,
  approver: ConfirmApproverRow,
  { to, able }: { readonly to: string | null; readonly able: ReadonlySet<string> | undefined },
): string {
  const path = ['input', 'delegateTo'];
  if (to === null) throw new PlatformError('VALIDATION_FAILED', 'delegateTo: expected a subject', { path });
  if (!definitionOf(draft, approver.stepId).delegationAllowed)
    throw new PlatformError('DELEGATION_FORBIDDEN', 'this step may not be delegated', { path });
  if (approver.depth >= (definitionOf(draft, approver.stepId).maxDelegations ?? maxDelegations))
    throw new PlatformError('DELEGATION_FORBIDDEN', `this part was passed on ${approver.depth} times already`, {
      path,
    });
  if (isBarred(draft.confirm, to))
    throw new PlatformError(
      'SELF_APPROVAL_FORBIDDEN',
      'who asked for the approval, or wrote what it is about, cannot decide it',
      { path },
    );
  const before = approverOf(draft, approver.stepId, to);
  // Whose part went back may be asked again.
  if (before !== undefined && before.state !== 'closed')
    throw new PlatformError('DELEGATION_FORBIDDEN', `${to} has a part in this step already`, { path });
  if (able?.has(to) === false)
    throw new PlatformError('DELEGATION_FORBIDDEN', `${to} has not got the right to decide this`, {
      path,
      details: { subject: to, permission: neededToDecide(draft.confirm)?.permission ?? 'confirm:approve' },
    });
  return to;
}

function delegate(draft: Draft, approver: ConfirmApproverRow, to: string): void {
  putApprover(draft, { ...approver, state: 'delegated', decidedAt: draft.at });
  putApprover(draft, {
    ...approver,
    subject: to,
    delegatedFrom: approver.subject,
    depth: approver.depth + 1,
    waitingSince: draft.at,
  });
}
