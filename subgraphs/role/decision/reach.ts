import {
  type CompiledConstraints,
  type ConditionPart,
  evaluateParts,
  type Facts,
  type Verdict,
} from '../conditions/index.ts';
import { hasBit } from '../hierarchy/bits.ts';
import { findPath, type ParentLink, type RoleNode } from '../hierarchy/index.ts';
import { isWithin, nextBoundary } from './assignment.ts';
import type { CompiledGrant } from './compiledRole.ts';
import type { Evaluation } from './evaluation.ts';
import type { Holding } from './holdings.ts';
import { matchesPattern, type Permission, parsePermissionPattern } from './permission.ts';

/** A way from a role held to the role that grants. */
export interface Way {
  readonly holding: Holding;
  /** Indexes in the graph, from the role held to the one that grants. */
  readonly path: readonly number[];
}

export interface Search {
  readonly way: Way | undefined;
  /** What stood in the way where there is none. */
  readonly failing: readonly string[];
  readonly error: string | undefined;
}

/**
 * The shortest way by which a permission comes to the subject in this request. Every role on it is in force here and
 * now and no edge keeps the permission back; for an allow, also the constraints of the roles and of the assignment
 * hold: all of them, which makes the most restrictive one decide.
 * @param lenient also takes what could not be decided, which is how a denial must be read
 */
export function findWay(evaluation: Evaluation, grant: CompiledGrant, lenient = false): Search {
  const { snapshot } = evaluation;
  const target = snapshot.graph.indexes.get(grant.roleId)!;
  const failing: string[] = [];
  let error: string | undefined;
  const accepts = (verdict: Verdict): boolean => {
    if (verdict.failing.length === 0 && (verdict.error === undefined || lenient)) return true;
    failing.push(...verdict.failing);
    error ??= verdict.error;
    return false;
  };
  const isAllow = grant.permission.effect === 'allow';
  const rules = {
    enters: (node: RoleNode) => node.plain || accepts(judgeRole(evaluation, node, isAllow)),
    passes: (link: ParentLink) => link.edge.type === 'full' || accepts(judgeEdge(evaluation, link, grant.permission)),
  };
  const path = findPath(snapshot.graph, listStarts(evaluation, { target, isAllow, accepts }), target, rules);
  const holding = path && findHolding(evaluation, path[0]!, isAllow);
  const way = path && holding && { holding, path };
  return { way, failing: failing.length === 0 ? noNames : namesOf(failing), error };
}

const noNames: readonly string[] = [];

function namesOf(failing: readonly string[]): string[] {
  return [...new Set(failing)].filter((name) => name !== '');
}

interface StartQuery {
  readonly target: number;
  readonly isAllow: boolean;
  readonly accepts: (verdict: Verdict) => boolean;
}

/** Roles held below the target by an assignment whose constraints hold; the target alone when it is held itself. */
function listStarts(evaluation: Evaluation, { target, isAllow, accepts }: StartQuery): number[] {
  const starts: number[] = [];
  for (const { index, constraints } of evaluation.holdings.all) {
    if (evaluation.snapshot.graph.nodes[index]!.ruledUp) continue;
    if (!hasBit(evaluation.snapshot.graph.nodes[index]!.up, target)) continue;
    if (isAllow && constraints !== undefined && !accepts(judgeConstraints(evaluation, constraints))) continue;
    starts.push(index);
  }
  return starts.includes(target) ? [target, ...starts] : starts;
}

function findHolding(evaluation: Evaluation, index: number, isAllow: boolean): Holding | undefined {
  return evaluation.holdings.all.find((holding) => {
    if (holding.index !== index) return false;
    if (!isAllow || holding.constraints === undefined) return true;
    const { failing, error } = judgeConstraints(evaluation, holding.constraints);
    return failing.length === 0 && error === undefined;
  });
}

function judgeConstraints(evaluation: Evaluation, constraints: CompiledConstraints): Verdict {
  return judge(evaluation, { key: constraints, parts: constraints.parts, isStatic: constraints.isStatic });
}

interface Question {
  /** What the parts belong to. */
  readonly key: object;
  readonly parts: readonly ConditionPart[];
  readonly isStatic: boolean;
}

function judge(evaluation: Evaluation, { key, parts, isStatic }: Question): Verdict {
  const known = evaluation.verdicts.get(key);
  if (known !== undefined) return known;
  if (!isStatic) evaluation.isDynamic = true;
  // What does not change with time may still go by names, of which the resource's is one.
  evaluation.readsResourceId = true;
  const verdict = evaluateParts(parts, evaluation.facts);
  evaluation.verdicts.set(key, verdict);
  return verdict;
}

const passes: Verdict = { failing: [], error: undefined };
const fails = (name: string): Verdict => ({ failing: [name], error: undefined });
/** Not in force, or kept back by the edge: as though it was not there, so nothing to report. */
const absent: Verdict = fails('');

export function judgeRole(evaluation: Evaluation, node: RoleNode, isAllow: boolean): Verdict {
  const { facts, snapshot } = evaluation;
  const role = snapshot.roles[node.index]!;
  const { effectiveMs, expirationMs } = role.role;
  evaluation.untilMs = Math.min(evaluation.untilMs, nextBoundary(facts.timeMs, [effectiveMs, expirationMs]));
  if (!role.hasForce || !isWithin(facts.timeMs, effectiveMs, expirationMs)) return absent;
  const outside = findScopeMiss(role, facts.contextId, facts.planId);
  if (outside !== undefined) return fails(outside);
  if (!isAllow || role.constraints === undefined) return passes;
  return judgeConstraints(evaluation, role.constraints);
}

export function judgeEdge(evaluation: Evaluation, { edge }: ParentLink, permission: Permission): Verdict {
  if (edge.excludedPermissions.length > 0) evaluation.readsResourceId = true;
  if (isExcluded(permission, edge.excludedPermissions, evaluation.facts)) return absent;
  if (edge.condition === undefined) return passes;
  return judge(evaluation, { key: edge, parts: edge.condition.parts, isStatic: false });
}

interface Scoped {
  readonly contextIds: ReadonlySet<string> | undefined;
  readonly planIds: ReadonlySet<string> | undefined;
}

/** The name of the scope that the request lies outside of. */
export function findScopeMiss(
  { contextIds, planIds }: Scoped,
  contextId: string | undefined,
  planId: string | undefined,
): string | undefined {
  if (contextIds !== undefined && (contextId === undefined || !contextIds.has(contextId))) return 'scope.contextIds';
  if (planIds !== undefined && (planId === undefined || !planIds.has(planId))) return 'scope.planIds';
  return undefined;
}

/** An exclusion names a permission, or is a pattern that takes in the request. */
function isExcluded(permission: Permission, excluded: readonly string[], facts: Facts): boolean {
  return excluded.some((text) => {
    if (text === permission.permissionId) return true;
    const pattern = parsePermissionPattern(text);
    return pattern !== undefined && matchesPattern(pattern, facts.resourceType, facts.action, facts.resourceId);
  });
}
