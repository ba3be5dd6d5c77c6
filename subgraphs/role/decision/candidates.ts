import { readOwn } from '../conditions/facts.ts';
import { evaluateParts } from '../conditions/index.ts';
import { type Bits, hasBit, listCommonBits } from '../hierarchy/bits.ts';
import { compareText } from '../hierarchy/order.ts';
import { isWithin, nextBoundary } from './assignment.ts';
import type { CompiledGrant } from './compiledRole.ts';
import { type Evaluation, noteMiss, reasonOf } from './evaluation.ts';
import { findEntries, type IndexEntry } from './grantIndex.ts';
import { demandsApproval, type Effect } from './permission.ts';
import { findScopeMiss, findWay, type Way } from './reach.ts';
import type { NearMiss } from './result.ts';

/** A rule that the index found for the request, at a role in the closure of those held. */
export interface Candidate {
  readonly grant: CompiledGrant;
  /** Names alone decide whether it applies. */
  readonly isStatic: boolean;
  /** See `rankOf`. */
  readonly rank: number;
}

export type Application =
  | { readonly kind: 'applies'; readonly way: Way }
  | { readonly kind: 'not' }
  /** Can be neither affirmed nor ruled out. */
  | { readonly kind: 'undecided'; readonly error: string; readonly way: Way };

const doesNot: Application = { kind: 'not' };

/**
 * The rules of one effect for the request's resource type and action within the closure of the roles held, their time
 * and scope already looked at: what is out of time is left out, what is out of scope is noted.
 */
export function findCandidates(evaluation: Evaluation, effect: Effect, entries: readonly IndexEntry[]): Candidate[] {
  return findCandidatesAmong(evaluation, { effect, entries, up: evaluation.holdings.up });
}

export interface CandidateQuery {
  readonly effect: Effect;
  readonly entries: readonly IndexEntry[];
  /** The roles whose rules are looked at. */
  readonly up: Bits;
}

export function findCandidatesAmong(evaluation: Evaluation, { effect, entries, up }: CandidateQuery): Candidate[] {
  const { snapshot, holdings, facts } = evaluation;
  const found: Candidate[] = [];
  for (const entry of entries) {
    for (const index of listCommonBits(up, entry[effect])) {
      const isPlain = hasBit(holdings.plainUp, index);
      for (const grant of snapshot.roles[index]!.grantsFor(entry.key)[effect]) {
        const { validFromMs, expiresAtMs } = grant.permission;
        if (validFromMs !== undefined || expiresAtMs !== undefined) {
          evaluation.untilMs = Math.min(evaluation.untilMs, nextBoundary(facts.timeMs, [validFromMs, expiresAtMs]));
          if (!isWithin(facts.timeMs, validFromMs, expiresAtMs)) continue;
        }
        const outside = findGrantMiss(evaluation, grant);
        if (outside === undefined) {
          const isStatic = isPlain && grant.isStatic;
          found.push({ grant, isStatic, rank: rankOf(evaluation, grant, { isStatic, index }) });
        } else if (effect === 'allow') noteMiss(evaluation, missOf(grant, [outside]));
      }
    }
  }
  return found;
}

export function findRequestEntries({ snapshot, facts }: Evaluation): IndexEntry[] {
  return findEntries(snapshot.index, facts.resourceType, facts.action);
}

function findGrantMiss(evaluation: Evaluation, grant: CompiledGrant): string | undefined {
  const { facts } = evaluation;
  if (grant.resourceId !== undefined) {
    evaluation.readsResourceId = true;
    if (grant.resourceId !== facts.resourceId) return 'scope.resourceId';
  }
  return findScopeMiss(grant, facts.contextId, facts.planId);
}

function missOf(grant: CompiledGrant, failing: readonly string[], error?: string): NearMiss {
  const { permissionId } = grant.permission;
  return { permissionId, grantingRoleId: grant.roleId, reason: reasonOf(failing, error), failing };
}

/** Whether a candidate applies, and by which way; what keeps an allow from it is noted. */
export function applyCandidate(evaluation: Evaluation, { grant, isStatic }: Candidate): Application {
  const isDeny = grant.permission.effect === 'deny';
  let search = findWay(evaluation, grant);
  let error: string | undefined;
  if (search.way === undefined && isDeny && search.error !== undefined) {
    error = search.error;
    search = findWay(evaluation, grant, true);
  }
  if (search.way === undefined) {
    if (search.failing.length > 0 || search.error !== undefined) {
      if (!isDeny) noteMiss(evaluation, missOf(grant, search.failing, search.error));
      if (search.error !== undefined) evaluation.errors.push(search.error);
    }
    return doesNot;
  }
  const { way } = search;
  if (isStatic) return { kind: 'applies', way };
  const verdict = judgeGrant(evaluation, grant);
  if (verdict.failing.length > 0) {
    if (!isDeny) noteMiss(evaluation, missOf(grant, verdict.failing));
    return doesNot;
  }
  error ??= verdict.error;
  if (error === undefined) return { kind: 'applies', way };
  evaluation.errors.push(error);
  if (!isDeny) noteMiss(evaluation, missOf(grant, [], error));
  return { kind: 'undecided', error, way };
}

/** Whether a candidate applies wherever it comes from; what keeps an allow from it is noted. */
export function judgeCandidate(evaluation: Evaluation, { grant }: Candidate): Application['kind'] {
  if (grant.isStatic) return 'applies';
  const { failing, error } = judgeGrant(evaluation, grant);
  if (failing.length === 0 && error === undefined) return 'applies';
  if (grant.permission.effect === 'allow') noteMiss(evaluation, missOf(grant, failing, error));
  if (failing.length > 0) return 'not';
  evaluation.errors.push(error!);
  return 'undecided';
}

function judgeGrant(evaluation: Evaluation, grant: CompiledGrant) {
  const failing: string[] = [];
  if (grant.relation !== undefined) {
    evaluation.isDynamic = true;
    if (!isRelated(evaluation, grant)) failing.push(`scope.${grant.relation}`);
  }
  if (grant.condition === undefined) return { failing, error: undefined };
  evaluation.isDynamic = true;
  const verdict = evaluateParts(grant.condition.parts, evaluation.facts);
  if (failing.length === 0) return verdict;
  return { failing: [...failing, ...verdict.failing], error: undefined };
}

function isRelated({ facts }: Evaluation, { relation }: CompiledGrant): boolean {
  switch (relation) {
    case 'own':
      return readOwn(facts.resource, 'ownerId') === facts.subjectId;
    case 'assigned': {
      const assignees = readOwn(facts.resource, 'assigneeIds');
      return Array.isArray(assignees) && assignees.includes(facts.subjectId);
    }
    case 'department': {
      const department = readOwn(facts.subject, 'department');
      return department !== undefined && department === readOwn(facts.resource, 'department');
    }
    case undefined:
      return true;
    default:
      return relation satisfies never;
  }
}

/**
 * The order in which rules are tried: without approval before with, without conditions before with, at a role held
 * before at an inherited one, then by role and permission. The first that applies is the one that is named.
 */
function rankOf(
  { holdings, facts }: Evaluation,
  { permission }: CompiledGrant,
  { isStatic, index }: { readonly isStatic: boolean; readonly index: number },
): number {
  const asks = permission.effect === 'allow' && demandsApproval(permission, facts.action);
  return (asks ? 4 : 0) + (isStatic ? 0 : 2) + (hasBit(holdings.held, index) ? 0 : 1);
}

function compareCandidates(left: Candidate, right: Candidate): number {
  return (
    left.rank - right.rank ||
    compareText(left.grant.roleId, right.grant.roleId) ||
    compareText(left.grant.permission.permissionId, right.grant.permission.permissionId)
  );
}

/** Candidates by rank. Mostly the first decides, so it is found before the rest is sorted. */
export function* inOrder(candidates: readonly Candidate[]): Generator<Candidate> {
  let best = candidates[0];
  if (best === undefined) return;
  for (const candidate of candidates) if (compareCandidates(candidate, best) < 0) best = candidate;
  yield best;
  if (candidates.length > 1) yield* candidates.filter((candidate) => candidate !== best).sort(compareCandidates);
}
