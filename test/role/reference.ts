import type { Constraints } from '../../subgraphs/role/conditions/index.ts';
import type {
  Assignment,
  Inheritance,
  Permission,
  PermissionRequest,
  Role,
  World,
} from '../../subgraphs/role/decision/index.ts';
import { samples, type Tri } from './worlds.ts';

export type ReferenceDecision = 'PERMIT' | 'DENY' | 'NEEDS_APPROVAL';

export interface ReferenceResult {
  readonly decision: ReferenceDecision;
  readonly isExplicit: boolean;
  readonly isError: boolean;
}

/**
 * The decision procedure as one would write it on a page: no index, no closure, no cache. Every assignment, every way
 * up from its role and every permission at the end of it is tried.
 */
export function decideByReference(
  world: World,
  request: PermissionRequest,
  chain: readonly string[] = [request.subjectId],
  onlyRoles?: readonly string[],
): ReferenceResult {
  const subjectId = chain[chain.length - 1]!;
  const now = request.environment!.timeMs!;
  const contextId = request.contextId ?? (request.resource.type === 'context' ? request.resource.id : undefined);
  const found = { deny: false, undecidedDeny: false, allow: false, approval: false };
  for (const assignment of world.assignments) {
    if (assignment.subjectId !== subjectId || assignment.status !== 'active') continue;
    if (assignment.contextId !== undefined && assignment.contextId !== contextId) continue;
    if (onlyRoles !== undefined && !onlyRoles.includes(assignment.roleId)) continue;
    if (!isDuring(now, assignment.validFromMs, assignment.expiresAtMs)) continue;
    const held = world.roles.find((role) => role.roleId === assignment.roleId);
    if (held === undefined) continue;
    for (const way of waysUp(world, held)) {
      for (const permission of way.roles[way.roles.length - 1]!.permissions) {
        const verdict = judgeByReference({ world, request, subjectId, contextId, now, assignment, way, permission });
        if (permission.effect === 'deny') {
          if (verdict === true) found.deny = true;
          if (verdict === 'error') found.undecidedDeny = true;
        } else if (verdict === true) {
          const { approvalRequired } = permission;
          const asks =
            approvalRequired !== undefined && (approvalRequired.forActions?.includes(request.action) ?? true);
          if (asks) found.approval = true;
          else found.allow = true;
        }
      }
    }
  }
  if (found.deny) return { decision: 'DENY', isExplicit: true, isError: false };
  if (found.undecidedDeny) return { decision: 'DENY', isExplicit: false, isError: true };
  if (found.allow) return { decision: 'PERMIT', isExplicit: false, isError: false };
  for (const delegation of world.delegations) {
    if (delegation.delegateId !== subjectId || delegation.status !== 'active') continue;
    if (delegation.approval !== undefined && delegation.approval !== 'approved') continue;
    if (chain.length > 3 || chain.length > (delegation.maxDepth ?? 1)) continue;
    if (chain.includes(delegation.delegatorId)) continue;
    if (delegation.contextId !== undefined && delegation.contextId !== contextId) continue;
    if (!isDuring(now, delegation.startMs, delegation.endMs)) continue;
    if (!delegation.permissions.some((text) => patternTakesIn(text, request))) continue;
    const longer = [...chain, delegation.delegatorId];
    const { decision } = decideByReference(world, request, longer, delegation.roleIds);
    if (decision === 'PERMIT') found.allow = true;
    if (decision === 'NEEDS_APPROVAL') found.approval = true;
  }
  const decision = found.allow ? 'PERMIT' : found.approval ? 'NEEDS_APPROVAL' : 'DENY';
  return { decision, isExplicit: false, isError: false };
}

export interface Way {
  readonly roles: readonly Role[];
  readonly edges: readonly Inheritance[];
}

function* waysUp(world: World, from: Role): Generator<Way> {
  yield { roles: [from], edges: [] };
  for (const edge of from.parents) {
    const parent = world.roles.find((role) => role.roleId === edge.roleId);
    if (parent === undefined) continue;
    for (const rest of waysUp(world, parent)) yield { roles: [from, ...rest.roles], edges: [edge, ...rest.edges] };
  }
}

export interface Case {
  readonly world: World;
  readonly request: PermissionRequest;
  readonly subjectId: string;
  readonly contextId: string | undefined;
  readonly now: number;
  readonly assignment: Assignment;
  readonly way: Way;
  readonly permission: Permission;
}

export function judgeByReference(given: Case): Tri {
  const { world, request, subjectId, contextId, now, assignment, way, permission } = given;
  const { resource, action } = request;
  const subject = world.subjects.find((row) => row.subjectId === subjectId)?.attributes ?? {};
  const ask = (conditions: unknown): Tri =>
    conditions === undefined
      ? true
      : samples.find((sample) => sample.conditions === conditions)!.expected(request, { ...subject });
  const constrain = (constraints: Constraints | undefined): Tri => {
    if (constraints === undefined) return true;
    const size = resource.attributes?.['size'];
    const max = constraints.limits?.['size'];
    return all([
      constraints.contextIds === undefined || (contextId !== undefined && constraints.contextIds.includes(contextId)),
      max === undefined || size === undefined || (typeof size === 'number' ? size <= max : 'error'),
      ask(constraints.conditions),
    ]);
  };
  const isAllow = permission.effect === 'allow';
  const facts: Tri[] = [
    permission.resourceType === '*' || permission.resourceType === resource.type,
    permission.actions.includes('*') || permission.actions.includes(action),
    permission.resourceId === undefined || permission.resourceId === '*' || permission.resourceId === resource.id,
    isDuring(now, permission.validFromMs, permission.expiresAtMs),
    isInContext(permission.scope?.contextIds, contextId),
    isRelated(permission, request, { subjectId, department: subject['department'] }),
    ask(permission.conditions),
  ];
  for (const edge of way.edges) {
    const excluded = edge.excludedPermissions ?? [];
    facts.push(!excluded.some((text) => text === permission.permissionId || patternTakesIn(text, request)));
    facts.push(ask(edge.conditions));
  }
  for (const role of way.roles) {
    facts.push(role.status === 'active' || role.status === 'deprecated');
    facts.push(isDuring(now, role.effectiveMs, role.expirationMs));
    facts.push(isInContext(role.scope?.contextIds, contextId));
    if (isAllow) facts.push(constrain(role.constraints));
  }
  if (isAllow) facts.push(constrain(assignment.constraints));
  return all(facts);
}

function all(facts: readonly Tri[]): Tri {
  if (facts.includes(false)) return false;
  return facts.includes('error') ? 'error' : true;
}

function isDuring(now: number, from: number | undefined, until: number | undefined): boolean {
  return now >= (from ?? Number.NEGATIVE_INFINITY) && now < (until ?? Number.POSITIVE_INFINITY);
}

function isInContext(allowed: readonly string[] | undefined, contextId: string | undefined): boolean {
  return allowed === undefined || (contextId !== undefined && allowed.includes(contextId));
}

function isRelated(
  { scope }: Permission,
  { resource }: PermissionRequest,
  subject: { readonly subjectId: string; readonly department: unknown },
): boolean {
  const attributes = resource.attributes ?? {};
  if (scope?.relation === 'own') return attributes['ownerId'] === subject.subjectId;
  if (scope?.relation === 'assigned') {
    return Array.isArray(attributes['assigneeIds']) && attributes['assigneeIds'].includes(subject.subjectId);
  }
  if (scope?.relation !== 'department') return true;
  return subject.department !== undefined && attributes['department'] === subject.department;
}

function patternTakesIn(text: string, { resource, action }: PermissionRequest): boolean {
  if (text === '*') return true;
  const [type, verb, id] = text.split(/[:.]/);
  if (verb === undefined) return false;
  return (
    (type === '*' || type === resource.type) &&
    (verb === '*' || verb === action) &&
    (id === undefined || id === '*' || id === resource.id)
  );
}
