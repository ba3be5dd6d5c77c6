import type { Inheritance, Permission, PermissionRequest, Role, World } from '../../subgraphs/role/decision/index.ts';
import { judgeByReference, type ReferenceDecision } from './reference.ts';

/** What a rule of a role comes to on its way down: `ask` permits after an approval, `clash` is a conflict escalated. */
type Mark = 'deny' | 'doubt' | 'clash' | 'permit' | 'ask';

interface Marked {
  readonly mark: Mark;
  /** The rule and the way to it, so that it can be judged as a whole. */
  readonly permission: Permission;
}

export interface RuledCase {
  readonly world: World;
  readonly request: PermissionRequest;
  readonly subjectId: string;
}

/**
 * The decision of what a subject holds itself, under inheritance rules, written down without index, closure or cache:
 * each role by a fresh recursion over its parents.
 */
export function decideRuled({ world, request, subjectId }: RuledCase): ReferenceDecision {
  const now = request.environment!.timeMs!;
  const contextId = request.contextId ?? (request.resource.type === 'context' ? request.resource.id : undefined);
  const all = new Set<Mark>();
  for (const assignment of world.assignments) {
    const isHeld =
      assignment.subjectId === subjectId &&
      assignment.status === 'active' &&
      (assignment.contextId === undefined || assignment.contextId === contextId) &&
      now >= (assignment.validFromMs ?? Number.NEGATIVE_INFINITY) &&
      now < (assignment.expiresAtMs ?? Number.POSITIVE_INFINITY);
    const role = world.roles.find(({ roleId }) => roleId === assignment.roleId);
    if (!isHeld || role === undefined) continue;
    const given = { world, request, subjectId, now, contextId };
    let marks = marksOf(given, role);
    if (askConstraints(given, assignment.constraints) !== true) marks = withoutAllowing(marks);
    for (const { mark } of marks) all.add(mark);
  }
  if (all.has('deny') || all.has('doubt')) return 'DENY';
  if (all.has('clash')) return 'NEEDS_APPROVAL';
  if (all.has('permit')) return 'PERMIT';
  return all.has('ask') ? 'NEEDS_APPROVAL' : 'DENY';
}

type Given = RuledCase & { readonly now: number; readonly contextId: string | undefined };

const bare = (role: Role): Role => ({ ...role, permissions: [], parents: [] });

/** Judges one thing alone by the plain reference, everything else on the way left blank. */
function judge(given: Given, what: { permission: Permission; edge?: Inheritance; role: Role; isBound: boolean }) {
  const { edge, permission, role, isBound } = what;
  const { constraints: _own, effectiveMs: _from, expirationMs: _until, scope: _scope, ...blank } = role;
  const standing: Role = isBound ? role : { ...blank, status: 'active' };
  return judgeByReference({
    ...given,
    assignment: { assignmentId: 'x', roleId: role.roleId, subjectId: given.subjectId, status: 'active' },
    way: { roles: [bare(standing)], edges: edge === undefined ? [] : [edge] },
    permission,
  });
}

const anyway = (effect: 'allow' | 'deny', permissionId = 'none of these'): Permission => ({
  permissionId,
  resourceType: '*',
  actions: ['*'],
  effect,
});

function askConstraints(given: Given, constraints: Role['constraints']) {
  const role: Role = {
    roleId: 'x',
    name: 'x',
    status: 'active',
    permissions: [],
    parents: [],
    ...(constraints && { constraints }),
  };
  return judge(given, { permission: anyway('allow'), role, isBound: true });
}

function marksOf(given: Given, role: Role): Marked[] {
  // As a denial would meet it: status, time and scope, no constraints.
  if (judge(given, { permission: anyway('deny'), role, isBound: true }) !== true) return [];
  const own = role.permissions.flatMap((permission): Marked[] => {
    const verdict = judge(given, { permission, role, isBound: false });
    if (permission.effect === 'deny')
      return verdict === true
        ? [{ mark: 'deny', permission }]
        : verdict === 'error'
          ? [{ mark: 'doubt', permission }]
          : [];
    if (verdict !== true) return [];
    const rule = permission.approvalRequired;
    const asks = rule !== undefined && (rule.forActions?.includes(given.request.action) ?? true);
    return [{ mark: asks ? 'ask' : 'permit', permission }];
  });
  const lists = role.parents.flatMap((edge): Marked[][] => {
    const parent = given.world.roles.find(({ roleId }) => roleId === edge.roleId);
    if (parent === undefined) return [];
    return [marksOf(given, parent).flatMap((marked) => overEdge(given, { role, edge, marked }))];
  });
  const { mergeStrategy = 'union', conflictResolution = 'deny' } =
    (role.parents.length === 0 ? undefined : role.inheritanceRules) ?? {};
  let marks = [...own, ...merged(lists, mergeStrategy)];
  if (judge(given, { permission: anyway('allow'), role, isBound: true }) !== true) marks = withoutAllowing(marks);
  return resolved(marks, conflictResolution);
}

function overEdge(given: Given, { role, edge, marked }: { role: Role; edge: Inheritance; marked: Marked }): Marked[] {
  const verdict = judge(given, {
    permission: anyway('deny', marked.mark === 'clash' ? undefined : marked.permission.permissionId),
    edge,
    role,
    isBound: false,
  });
  if (verdict === false) return [];
  if (verdict === true) return [marked];
  return marked.mark === 'permit' || marked.mark === 'ask' ? [] : [{ ...marked, mark: 'doubt' }];
}

const isAllowing = ({ mark }: Marked) => mark === 'permit' || mark === 'ask';
const isDenying = ({ mark }: Marked) => mark === 'deny' || mark === 'doubt';

function withoutAllowing(marks: readonly Marked[]): Marked[] {
  return marks
    .filter((marked) => !isAllowing(marked))
    .map((marked) => (marked.mark === 'clash' ? { ...marked, mark: 'deny' } : marked));
}

function merged(lists: readonly Marked[][], strategy: string): Marked[] {
  if (strategy === 'priority') return lists.find((list) => list.length > 0) ?? [];
  if (strategy === 'union' || lists.length < 2) return lists.flat();
  if (lists.some((list) => list.every(isDenying))) return withoutAllowing(lists.flat());
  const isAsked = lists.some(
    (list) => list.some(({ mark }) => mark === 'ask') && !list.some(({ mark }) => mark === 'permit'),
  );
  return lists.flat().filter(({ mark }) => mark !== 'permit' || !isAsked);
}

function resolved(marks: Marked[], resolution: string): Marked[] {
  const has = (...wanted: Mark[]) => marks.some(({ mark }) => wanted.includes(mark));
  if (resolution === 'allow') return has('permit') ? marks.filter(isAllowing) : marks;
  if (resolution === 'least_restrictive') return has('permit', 'ask') ? marks.filter(isAllowing) : marks;
  if (resolution === 'most_restrictive')
    return has('ask', 'clash') ? marks.filter(({ mark }) => mark !== 'permit') : marks;
  const isMet = has('clash')
    ? has('permit', 'ask', 'deny', 'doubt', 'clash')
    : has('permit', 'ask') && has('deny', 'doubt');
  if (resolution !== 'escalate' || !isMet) return marks;
  // By the denial that was met it passes edges on as a conflict; of several the reference takes any that is left.
  const clash = marks.find(({ mark }) => mark === 'clash') ?? marks.find(isAllowing)!;
  return [{ ...clash, mark: 'clash' }];
}
