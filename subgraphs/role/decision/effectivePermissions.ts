import { findPath } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { type Delegation, isWithin } from './assignment.ts';
import { type DecideOptions, defaultDecideOptions } from './decide.ts';
import { type Holding, readHoldings } from './holdings.ts';
import { demandsApproval, type PermissionPattern, parsePermissionPattern } from './permission.ts';
import {
  createPassage,
  type GrantUnit,
  includesPattern,
  isUnconditional,
  overlaps,
  type PermissionSets,
} from './permissionSets.ts';
import { readProvenance } from './provenance.ts';
import type { GrantSource } from './result.ts';

export interface EffectiveQuery {
  readonly subjectId: string;
  readonly contextId?: string;
  readonly timeMs: number;
  readonly options?: DecideOptions;
}

/** A permission of a subject for one action, and how it comes by it. */
export interface EffectivePermission {
  readonly unit: GrantUnit;
  readonly resourceType: string;
  /** An action, or `*`. */
  readonly action: string;
  readonly resourceId: string | undefined;
  readonly source: GrantSource;
  /** Comes by plain roles, edges and assignments; its own conditions and scope remain. */
  readonly certain: boolean;
  /** Depends on the request: conditions, scope, constraints or an exclusion on the way. */
  readonly conditional: boolean;
  readonly needsApproval: boolean;
  /** The unconditional denial that takes it away. */
  readonly deniedBy: string | undefined;
}

interface Step {
  readonly chain: readonly string[];
  readonly delegationIds: readonly string[];
  readonly delegatedUntilMs?: number | undefined;
  readonly roleIds: readonly string[] | undefined;
}

/** Everything a subject may do or is denied in a context, by resource type, action and permission, with provenance. */
export function listEffectivePermissions(sets: PermissionSets, query: EffectiveQuery): EffectivePermission[] {
  const found = collect(sets, query, { chain: [query.subjectId], delegationIds: [], roleIds: undefined });
  const text = ({ resourceType, action, source }: EffectivePermission) =>
    `${resourceType} ${action} ${source.grantingRoleId} ${source.permissionId} ${source.delegationIds.join(' ')}`;
  return found
    .map((permission) => ({ permission, key: text(permission) }))
    .sort((left, right) => compareText(left.key, right.key))
    .map(({ permission }) => permission);
}

function collect(sets: PermissionSets, query: EffectiveQuery, step: Step): EffectivePermission[] {
  const subjectId = step.chain[step.chain.length - 1]!;
  const record = sets.snapshot.subjects.get(subjectId);
  if (record === undefined) return [];
  const { timeMs, contextId } = query;
  const holdings = readHoldings(sets.snapshot, record, { contextId, timeMs, roleIds: step.roleIds });
  const best = new Map<number, EffectivePermission>();
  for (const holding of holdings.all) {
    const { certain, conditional } = sets.setOf(holding.index);
    const isBound = holding.constraints !== undefined;
    for (const unit of certain) keep(best, describe(sets, unit, { holding, step, query, isCertain: !isBound }));
    for (const unit of conditional) keep(best, describe(sets, unit, { holding, step, query, isCertain: false }));
  }
  const own = markDenied([...best.values()]);
  return [...own, ...markDenied(collectDelegated(sets, query, { ...step, incoming: record.incoming }), own)];
}

function keep(best: Map<number, EffectivePermission>, permission: EffectivePermission | undefined): void {
  if (permission === undefined) return;
  const known = best.get(permission.unit.id);
  const isBetter =
    known === undefined ||
    (known.conditional && !permission.conditional) ||
    (known.conditional === permission.conditional && permission.source.path.length < known.source.path.length);
  if (isBetter) best.set(permission.unit.id, permission);
}

interface Occurrence {
  readonly holding: Holding;
  readonly step: Step;
  readonly query: EffectiveQuery;
  readonly isCertain: boolean;
}

function describe(
  sets: PermissionSets,
  unit: GrantUnit,
  { holding, step, query, isCertain }: Occurrence,
): EffectivePermission | undefined {
  const { snapshot } = sets;
  const { permission, roleId, resourceId } = unit.grant;
  if (!isWithin(query.timeMs, permission.validFromMs, permission.expiresAtMs)) return undefined;
  const path = findPath(snapshot.graph, [holding.index], snapshot.graph.indexes.get(roleId)!, {
    enters: ({ index, ruledUp }) => {
      const { role, hasForce } = snapshot.roles[index]!;
      // By its rules a role may not take what its parent has.
      if (ruledUp && !hasUnit(sets, index, unit.id)) return false;
      return hasForce && isWithin(query.timeMs, role.effectiveMs, role.expirationMs);
    },
    passes: (link) => createPassage(link.edge)(unit) !== 'no',
  });
  if (path === undefined) return undefined;
  const { assignment } = holding;
  return {
    unit,
    resourceType: permission.resourceType,
    action: unit.action,
    resourceId,
    source: {
      permissionId: permission.permissionId,
      effect: permission.effect,
      grantingRoleId: roleId,
      assignmentId: assignment.assignmentId,
      heldRoleId: assignment.roleId,
      path: path.map((index) => snapshot.graph.nodes[index]!.roleId),
      delegationIds: step.delegationIds,
      ...readProvenance(snapshot, {
        permission,
        assignment,
        path,
        isDelegated: step.delegationIds.length > 0,
        delegatedUntilMs: step.delegatedUntilMs,
      }),
    },
    certain: isCertain,
    conditional:
      !isCertain ||
      // Of all actions it asks for an approval for some.
      (unit.action === '*' && permission.approvalRequired?.forActions !== undefined) ||
      !unit.grant.isStatic ||
      unit.grant.contextIds !== undefined ||
      unit.grant.planIds !== undefined,
    needsApproval: permission.effect === 'allow' && (unit.asks === true || demandsApproval(permission, unit.action)),
    deniedBy: undefined,
  };
}

function hasUnit(sets: PermissionSets, index: number, unitId: number): boolean {
  const { certain, conditional } = sets.setOf(index);
  return certain.some(({ id }) => id === unitId) || conditional.some(({ id }) => id === unitId);
}

function collectDelegated(
  sets: PermissionSets,
  query: EffectiveQuery,
  step: Step & { readonly incoming: readonly Delegation[] },
): EffectivePermission[] {
  const { maxDelegationDepth } = query.options ?? defaultDecideOptions;
  const depth = step.chain.length;
  const found: EffectivePermission[] = [];
  for (const delegation of step.incoming) {
    const { delegatorId, delegationId, status, approval, contextId, startMs, endMs } = delegation;
    if (depth > maxDelegationDepth || depth > (delegation.maxDepth ?? 1) || step.chain.includes(delegatorId)) continue;
    if (status !== 'active' || (approval !== undefined && approval !== 'approved')) continue;
    if (!isWithin(query.timeMs, startMs, endMs) || (contextId !== undefined && contextId !== query.contextId)) continue;
    const patterns = delegation.permissions.map(parsePermissionPattern).filter((pattern) => pattern !== undefined);
    const held = collect(sets, query, {
      chain: [...step.chain, delegatorId],
      delegationIds: [...step.delegationIds, delegationId],
      delegatedUntilMs: earlier(step.delegatedUntilMs, endMs),
      roleIds: delegation.roleIds,
    });
    for (const permission of held) {
      if (permission.source.effect === 'deny' || permission.deniedBy !== undefined) continue;
      // A denial that takes away part of what the delegator holds makes the rest a matter of the request.
      const isCut = held.some(({ source, ...other }) => source.effect === 'deny' && overlaps(other, permission));
      const passed = isCut ? { ...permission, certain: false, conditional: true } : permission;
      if (patterns.some((pattern) => includesPattern(pattern, passed))) found.push(passed);
      else found.push(...narrow(passed, patterns));
    }
  }
  return found;
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

/** The parts of a wider permission that the delegation names. */
function narrow(permission: EffectivePermission, patterns: readonly PermissionPattern[]): EffectivePermission[] {
  const pick = (left: string, right: string): string | undefined =>
    left === '*' ? right : right === '*' || left === right ? left : undefined;
  return patterns.flatMap((pattern) => {
    const resourceType = pick(permission.resourceType, pattern.resourceType);
    const action = pick(permission.action, pattern.action);
    const resourceId = pick(permission.resourceId ?? '*', pattern.resourceId ?? '*');
    if (resourceType === undefined || action === undefined || resourceId === undefined) return [];
    return [{ ...permission, resourceType, action, resourceId: resourceId === '*' ? undefined : resourceId }];
  });
}

function markDenied(
  permissions: readonly EffectivePermission[],
  among: readonly EffectivePermission[] = permissions,
): EffectivePermission[] {
  const denials = among.filter(
    ({ source, conditional, unit }) => source.effect === 'deny' && !conditional && isUnconditional(unit),
  );
  if (denials.length === 0) return [...permissions];
  return permissions.map((permission) => {
    if (permission.source.effect === 'deny' || permission.deniedBy !== undefined) return permission;
    const denial = denials.find((other) => includesPattern(other, permission));
    return denial === undefined ? permission : { ...permission, deniedBy: denial.source.permissionId };
  });
}
