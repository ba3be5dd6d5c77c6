import { type Delegation, isWithin, nextBoundary } from './assignment.ts';
import { applyCandidate, type Candidate, findCandidates, findRequestEntries, inOrder } from './candidates.ts';
import { adoptMiss, type Evaluation, openEvaluation, type ReadHoldings } from './evaluation.ts';
import { findGivenApproval, type GivenApproval } from './givenApproval.ts';
import type { IndexEntry } from './grantIndex.ts';
import type { Holding } from './holdings.ts';
import { demandsApproval, matchesPattern, parsePermissionPattern } from './permission.ts';
import type { Way } from './reach.ts';
import { contextOf, type PermissionRequest } from './request.ts';
import { findSurvivors, inOrder as inOrderOfStand, type Stand, type Survivor } from './ruled.ts';
import { emptyRecord, type Snapshot, type SubjectRecord } from './snapshot.ts';
import { requireTime } from './timeout.ts';

export interface DecideOptions {
  /** Delegations one after the other that a right may come by. @default 3 */
  readonly maxDelegationDepth: number;
}

export const defaultDecideOptions: DecideOptions = { maxDelegationDepth: 3 };

/** The rule that decided, as found: `toDecision` says it in ids. */
export interface Ruling {
  readonly outcome: 'PERMIT' | 'DENY' | 'NEEDS_APPROVAL';
  readonly candidate: Candidate;
  readonly way: Way;
  /** Evaluation of the one who holds the right: the subject, or who delegated. */
  readonly holder: Evaluation;
  readonly delegationIds: readonly string[];
  /** Epoch ms at which the first of the delegations ends. */
  readonly delegatedUntilMs?: number;
  readonly isUndecided: boolean;
  /** The denial that was met, where inheritance rules ask for a person's decision. */
  readonly escalates?: Candidate;
  /** That turned what needs an approval into what is permitted. */
  readonly approval?: GivenApproval;
}

export interface Conclusion {
  readonly evaluation: Evaluation;
  /** Undefined: the default decides. */
  readonly ruling: Ruling | undefined;
  /** Neither a role nor a delegation in force. */
  readonly isBare: boolean;
}

export interface DecideInput {
  readonly request: PermissionRequest;
  readonly timeMs: number;
  readonly options: DecideOptions;
  readonly readHoldings?: ReadHoldings | undefined;
  /** Time of `performance.now()` past which the evaluation is given up. @default never */
  readonly deadlineMs?: number | undefined;
}

interface Step {
  readonly record: SubjectRecord;
  /** Subjects between the one who asked and this one, itself included. */
  readonly chain: readonly string[];
  readonly roleIds: readonly string[] | undefined;
  /** Of the one who asks. */
  readonly approvals: readonly GivenApproval[];
}

/**
 * Decides one request against one version. Rules are combined by deny-overrides (XACML 3.0, appendix C.2): a denial
 * that applies decides; else one that cannot be evaluated denies; else an allow that applies grants, one without
 * approval before one that asks for it, the subject's own before delegated ones; else the answer is no. An allow that
 * cannot be evaluated grants nothing. Where inheritance rules bear on a role held, what it says is found by them first, and
 * then combined with the rest by the same order; a conflict that its rules escalate goes before what is allowed. What needs
 * an approval is permitted to who was given it: an obligation that is fulfilled.
 */
export function decide(snapshot: Snapshot, input: DecideInput): Conclusion {
  const { subjectId } = input.request;
  const record = snapshot.subjects.get(subjectId) ?? emptyRecord(subjectId);
  return decideFor(snapshot, input, {
    ...{ record, chain: [subjectId], roleIds: undefined, approvals: record.approvals },
  });
}

function decideFor(snapshot: Snapshot, input: DecideInput, step: Step): Conclusion {
  const { request, timeMs, deadlineMs } = input;
  const { record, roleIds, approvals } = step;
  requireTime(deadlineMs);
  // A delegator is judged by what is stored of it: the attributes in the request are those of who asks.
  const isAsking = step.chain.length === 1;
  const ownRequest: PermissionRequest = isAsking ? request : { ...request, subjectAttributes: {} };
  const readHoldings = roleIds === undefined ? input.readHoldings : undefined;
  const evaluation = openEvaluation(snapshot, {
    ...{ record, request: ownRequest, timeMs, roleIds, readHoldings, approvals },
  });
  const entries = findRequestEntries(evaluation);
  const denial = findDenial(evaluation, findCandidates(evaluation, 'deny', entries), deadlineMs);
  if (denial !== undefined && !denial.isUndecided) return { evaluation, ruling: denial, isBare: false };
  const ruled = findRuled(evaluation, entries);
  const denied = ruled?.outcome === 'DENY' && !(ruled.isUndecided && denial !== undefined) ? ruled : denial;
  if (denied !== undefined) return { evaluation, ruling: denied, isBare: false };
  if (ruled?.escalates !== undefined) return { evaluation, ruling: ruled, isBare: false };
  const plain = findAllowance(evaluation, findCandidates(evaluation, 'allow', entries), deadlineMs);
  const own = plain?.outcome !== 'PERMIT' && ruled?.outcome === 'PERMIT' ? ruled : (plain ?? ruled);
  if (own?.outcome === 'PERMIT') return { evaluation, ruling: own, isBare: false };
  const delegated = findDelegated(snapshot, input, { step, evaluation });
  const ruling = delegated.ruling?.outcome === 'PERMIT' ? delegated.ruling : (own ?? delegated.ruling);
  return { evaluation, ruling, isBare: evaluation.holdings.all.length === 0 && !delegated.isAny };
}

function findDenial(
  evaluation: Evaluation,
  candidates: readonly Candidate[],
  deadlineMs: number | undefined,
): Ruling | undefined {
  let undecided: Ruling | undefined;
  for (const candidate of inOrder(candidates)) {
    requireTime(deadlineMs);
    const application = applyCandidate(evaluation, candidate);
    if (application.kind === 'not') continue;
    const { way } = application;
    const isUndecided = application.kind === 'undecided';
    const ruling: Ruling = { outcome: 'DENY', candidate, way, holder: evaluation, delegationIds: [], isUndecided };
    if (!isUndecided) return ruling;
    undecided ??= ruling;
  }
  return undecided;
}

function findAllowance(
  evaluation: Evaluation,
  candidates: readonly Candidate[],
  deadlineMs: number | undefined,
): Ruling | undefined {
  let waiting: Ruling | undefined;
  for (const candidate of inOrder(candidates)) {
    requireTime(deadlineMs);
    const application = applyCandidate(evaluation, candidate);
    if (application.kind !== 'applies') continue;
    const common = { candidate, way: application.way, holder: evaluation, delegationIds: [], isUndecided: false };
    if (!demandsApproval(candidate.grant.permission, evaluation.facts.action)) return { ...common, outcome: 'PERMIT' };
    const approval = findGivenApproval(evaluation, candidate.grant);
    if (approval !== undefined) return { ...common, outcome: 'PERMIT', approval };
    waiting ??= { ...common, outcome: 'NEEDS_APPROVAL' };
    // Those that ask for none come first: of what is left only an approval may do more.
    if (evaluation.approvals.length === 0) return waiting;
  }
  return waiting;
}

const outcomes: Readonly<Record<Stand, Ruling['outcome']>> = {
  deny: 'DENY',
  undecided: 'DENY',
  escalated: 'NEEDS_APPROVAL',
  permit: 'PERMIT',
  approval: 'NEEDS_APPROVAL',
};

/** What the holdings with inheritance rules say together. */
function findRuled(evaluation: Evaluation, entries: readonly IndexEntry[]): Ruling | undefined {
  const { ruled } = evaluation.holdings;
  if (ruled.length === 0) return undefined;
  const holdingOf = new Map<Survivor, Holding>();
  for (const holding of ruled) {
    for (const survivor of findSurvivors(evaluation, holding, entries)) {
      if (!holdingOf.has(survivor)) holdingOf.set(survivor, holding);
    }
  }
  const ordered = inOrderOfStand([...holdingOf.keys()]);
  const [foremost] = ordered;
  if (foremost === undefined) return undefined;
  const { survivor: first, approval } = findApproved(evaluation, ordered) ?? { survivor: foremost };
  return {
    outcome: approval === undefined ? outcomes[first.stand] : 'PERMIT',
    ...(approval === undefined ? {} : { approval }),
    candidate: first.candidate,
    way: { holding: holdingOf.get(first)!, path: first.path },
    holder: evaluation,
    delegationIds: [],
    isUndecided: first.stand === 'undecided',
    ...(first.denial === undefined ? {} : { escalates: first.denial.candidate }),
  };
}

/** Of the rules that decide together, where they leave it to a person, the first whose approval was given. */
function findApproved(evaluation: Evaluation, ordered: readonly Survivor[]) {
  const { stand } = ordered[0]!;
  if (stand !== 'approval' && stand !== 'escalated') return undefined;
  for (const survivor of ordered) {
    if (survivor.stand !== stand) return undefined;
    const approval = findGivenApproval(evaluation, (survivor.denial ?? survivor).candidate.grant);
    if (approval !== undefined) return { survivor, approval };
  }
  return undefined;
}

interface Delegated {
  readonly ruling: Ruling | undefined;
  /** Some delegation is in force, for whatever permission. */
  readonly isAny: boolean;
}

/** A right that someone else holds, at this moment and for this very request, and has delegated. */
function findDelegated(
  snapshot: Snapshot,
  input: DecideInput,
  { step, evaluation }: { readonly step: Step; readonly evaluation: Evaluation },
): Delegated {
  let waiting: Ruling | undefined;
  let isAny = false;
  const depth = step.chain.length;
  for (const delegation of step.record.incoming) {
    if (depth > input.options.maxDelegationDepth || depth > (delegation.maxDepth ?? 1)) continue;
    if (step.chain.includes(delegation.delegatorId) || !isInForce(evaluation, delegation, input)) continue;
    isAny = true;
    evaluation.readsResourceId = true;
    if (!coversRequest(delegation, input.request)) continue;
    const record = snapshot.subjects.get(delegation.delegatorId);
    if (record === undefined) continue;
    const chain = [...step.chain, delegation.delegatorId];
    const conclusion = decideFor(snapshot, input, {
      ...{ record, chain, roleIds: delegation.roleIds, approvals: step.approvals },
    });
    absorb(evaluation, conclusion.evaluation);
    const { ruling } = conclusion;
    if (ruling === undefined || ruling.outcome === 'DENY') continue;
    const ends = [delegation.endMs, ruling.delegatedUntilMs].filter((ms) => ms !== undefined);
    const passedOn: Ruling = {
      ...ruling,
      delegationIds: [delegation.delegationId, ...ruling.delegationIds],
      ...(ends.length === 0 ? {} : { delegatedUntilMs: Math.min(...ends) }),
    };
    if (ruling.outcome === 'PERMIT') return { ruling: passedOn, isAny };
    waiting ??= passedOn;
  }
  return { ruling: waiting, isAny };
}

function isInForce(evaluation: Evaluation, delegation: Delegation, { request, timeMs }: DecideInput): boolean {
  const { status, approval, contextId, startMs, endMs } = delegation;
  if (status !== 'active' || (approval !== undefined && approval !== 'approved')) return false;
  if (contextId !== undefined && contextId !== contextOf(request)) return false;
  evaluation.untilMs = Math.min(evaluation.untilMs, nextBoundary(timeMs, [startMs, endMs]));
  return isWithin(timeMs, startMs, endMs);
}

function coversRequest(delegation: Delegation, { resource, action }: PermissionRequest): boolean {
  return delegation.permissions.some((text) => {
    const pattern = parsePermissionPattern(text);
    return pattern !== undefined && matchesPattern(pattern, resource.type, action, resource.id);
  });
}

/** What the delegator's evaluation looked at, the delegate's depends on as well. */
function absorb(evaluation: Evaluation, other: Evaluation): void {
  evaluation.isDynamic ||= other.isDynamic;
  evaluation.readsResourceId ||= other.readsResourceId;
  evaluation.untilMs = Math.min(evaluation.untilMs, other.untilMs);
  evaluation.errors.push(...other.errors);
  adoptMiss(evaluation, other.near);
}
