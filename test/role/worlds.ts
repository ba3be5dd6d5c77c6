import fc from 'fast-check';
import type { Conditions, Constraints } from '../../subgraphs/role/conditions/index.ts';
import type {
  Assignment,
  Delegation,
  Inheritance,
  Permission,
  PermissionRequest,
  Role,
  World,
} from '../../subgraphs/role/decision/index.ts';

/** True, false, or cannot be decided. */
export type Tri = boolean | 'error';

export interface Sample {
  readonly conditions: Conditions;
  /** The answer by hand. */
  readonly expected: (request: PermissionRequest, subjectAttributes: Record<string, unknown>) => Tri;
}

/** Conditions with their meaning written out plainly, so that the reference needs no compiler. */
export const samples: readonly Sample[] = [
  {
    conditions: { timeBased: { start: '08:00', end: '18:00' } },
    expected: ({ environment }) => {
      const hour = new Date(environment!.timeMs!).getUTCHours();
      return hour >= 8 && hour < 18;
    },
  },
  {
    conditions: { locationBased: { allowedIpRanges: ['10.0.0.0/8'] } },
    expected: ({ environment }) => {
      if (environment?.ip === 'nonsense') return 'error';
      return environment?.ip?.startsWith('10.') ?? false;
    },
  },
  {
    conditions: { attributes: [{ attribute: 'resource.size', operator: 'lt', value: 10 }] },
    expected: ({ resource }) => {
      const size = resource.attributes?.['size'];
      if (size === undefined) return false;
      return typeof size === 'number' ? size < 10 : 'error';
    },
  },
  {
    conditions: { expression: 'subject.department == "sales" OR environment.mfa' },
    expected: ({ environment }, subject) => subject['department'] === 'sales' || environment?.['mfa'] === true,
  },
  {
    conditions: {
      contextBased: { forbiddenAttributes: { 'subject.department': 'sales' } },
      expression: 'resource.size >= 5',
    },
    expected: ({ resource }, subject) => {
      if (subject['department'] === 'sales') return false;
      const size = resource.attributes?.['size'];
      if (size === undefined) return false;
      return typeof size === 'number' ? size >= 5 : 'error';
    },
  },
];

/** There once in so many times. */
function seldom<T>(arbitrary: fc.Arbitrary<T>, oneIn = 6): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

/** `usual` three times in four. */
function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

function compact<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

const conditions = fc.constantFrom(...samples.map((sample) => sample.conditions));
const contextIds = fc.constantFrom('c1', 'c2');
const types = fc.constantFrom('plan', 'context');
const actions = fc.constantFrom('read', 'update', 'admin');
const instants = fc.integer({ min: 0, max: 47 }).map((hours) => Date.UTC(2026, 0, 5, hours));

const constraints: fc.Arbitrary<Constraints> = fc.oneof(
  contextIds.map((contextId) => ({ contextIds: [contextId] })),
  fc.integer({ min: 0, max: 12 }).map((size) => ({ limits: { size } })),
  conditions.map((value) => ({ conditions: value })),
);

function permission(permissionId: string): fc.Arbitrary<Permission> {
  return fc
    .record({
      resourceType: fc.oneof({ weight: 4, arbitrary: types }, { weight: 1, arbitrary: fc.constant('*') }),
      resourceId: seldom(fc.constantFrom('x', 'y', '*')),
      actions: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(['read'], ['read', 'update'], ['update', 'admin']) },
        { weight: 1, arbitrary: fc.constant(['*', 'read']) },
      ),
      effect: fc.oneof(
        { weight: 5, arbitrary: fc.constant('allow' as const) },
        { weight: 1, arbitrary: fc.constant('deny' as const) },
      ),
      scope: seldom(
        fc.oneof(
          contextIds.map((contextId) => ({ contextIds: [contextId] })),
          fc.constantFrom('own' as const, 'assigned' as const, 'department' as const).map((relation) => ({ relation })),
        ),
      ),
      conditions: seldom(conditions),
      approvalRequired: seldom(fc.constantFrom({}, { forActions: ['update'], threshold: 2, approverRoles: ['r0'] }), 6),
      validFromMs: seldom(instants, 6),
      expiresAtMs: seldom(instants, 6),
    })
    .map((value) => compact<Permission>({ permissionId, ...value }));
}

function role(at: number): fc.Arbitrary<Role> {
  const parent = fc
    .record({
      roleId: fc.integer({ min: 0, max: Math.max(0, at - 1) }).map((index) => `r${index}`),
      type: fc.constantFrom('full' as const, 'full' as const, 'partial' as const, 'conditional' as const),
      excludedPermissions: fc.subarray(['p0-0', 'p1-0', 'plan:update', 'context:*']),
      conditions,
    })
    .map(({ roleId, type, excludedPermissions, conditions: edge }): Inheritance => {
      if (type === 'full') return { roleId, type };
      return type === 'partial' ? { roleId, type, excludedPermissions } : { roleId, type, conditions: edge };
    });
  return fc
    .record({
      status: mostly<Role['status']>('active', 'deprecated', 'suspended'),
      permissions: fc.tuple(...[0, 1, 2].map((index) => permission(`p${at}-${index}`))),
      kept: fc.constantFrom(3, 2, 1, 0),
      parents:
        at === 0
          ? fc.constant([])
          : fc.uniqueArray(parent, { minLength: 1, maxLength: 3, size: 'max', selector: ({ roleId }) => roleId }),
      effectiveMs: seldom(instants, 8),
      expirationMs: seldom(instants, 8),
      scope: seldom(
        contextIds.map((contextId) => ({ contextIds: [contextId] })),
        6,
      ),
      constraints: seldom(constraints, 6),
    })
    .map(({ permissions, kept, ...value }) =>
      compact<Role>({ roleId: `r${at}`, name: `r${at}`, permissions: permissions.slice(0, kept), ...value }),
    );
}

export const subjectIds = ['s0', 's1', 's2'];
const subjectId = fc.constantFrom(...subjectIds);

export const roleCount = 6;
const roleId = fc.integer({ min: 0, max: roleCount - 1 }).map((index) => `r${index}`);

export const roles = fc.tuple(...Array.from({ length: roleCount }, (_, at) => role(at)));

export function assignment(assignmentId: string): fc.Arbitrary<Assignment> {
  return fc
    .record({
      roleId,
      subjectId,
      contextId: seldom(contextIds),
      status: mostly<Assignment['status']>('active', 'suspended', 'revoked'),
      validFromMs: seldom(instants, 6),
      expiresAtMs: seldom(instants, 6),
      constraints: seldom(constraints, 6),
    })
    .map((value) => compact<Assignment>({ assignmentId, ...value }));
}

export function delegation(delegationId: string): fc.Arbitrary<Delegation> {
  return fc
    .record({
      delegatorId: subjectId,
      delegateId: subjectId,
      permissions: fc.subarray(['plan:read', 'plan.*', '*', 'context:update:x', '*:read'], { minLength: 1 }),
      roleIds: seldom(fc.uniqueArray(roleId, { maxLength: 3 })),
      contextId: seldom(contextIds),
      status: mostly<Delegation['status']>('active', 'revoked'),
      approval: seldom(fc.constantFrom('pending' as const, 'approved' as const)),
      startMs: seldom(instants, 6),
      endMs: seldom(instants, 6),
      maxDepth: fc.constantFrom(1, 2, 3),
    })
    .map((value) => compact<Delegation>({ delegationId, ...value }));
}

const rules = fc.record({
  mergeStrategy: fc.constantFrom('union' as const, 'intersection' as const, 'priority' as const),
  conflictResolution: fc.constantFrom(
    'deny' as const,
    'allow' as const,
    'escalate' as const,
    'most_restrictive' as const,
    'least_restrictive' as const,
  ),
  maxDepth: fc.constant(10),
});

/** Roles of which every second has inheritance rules. */
export const ruledRoles: fc.Arbitrary<Role[]> = fc
  .tuple(roles, fc.array(fc.option(rules, { nil: undefined }), { minLength: roleCount, maxLength: roleCount }))
  .map(([rows, given]) =>
    rows.map((row, at) => (given[at] === undefined ? row : { ...row, inheritanceRules: given[at] })),
  );

const subjectAttributes = fc.record({ department: fc.constantFrom('sales', 'research') }, { requiredKeys: [] });

export const worlds: fc.Arbitrary<World> = worldsOf(roles);

export const ruledWorlds: fc.Arbitrary<World> = worldsOf(ruledRoles);

function worldsOf(rolesOf: fc.Arbitrary<readonly Role[]>): fc.Arbitrary<World> {
  return fc
    .record({
      roles: rolesOf,
      assignments: fc.tuple(...Array.from({ length: 6 }, (_, at) => assignment(`a${at}`))),
      delegations: fc.tuple(...Array.from({ length: 4 }, (_, at) => delegation(`d${at}`))),
      attributes: fc.tuple(...subjectIds.map(() => subjectAttributes)),
      counts: fc.tuple(fc.constantFrom(6, 5, 4, 2, 0), fc.constantFrom(4, 3, 2, 0)),
    })
    .map(({ roles: rows, assignments, delegations, attributes, counts }) => ({
      roles: rows,
      assignments: assignments.slice(0, counts[0]),
      delegations: delegations.slice(0, counts[1]),
      subjects: subjectIds.map((id, at) => ({ subjectId: id, attributes: attributes[at]! })),
      separationRules: [],
    }));
}

export const requests: fc.Arbitrary<PermissionRequest> = fc
  .record({
    subjectId,
    contextId: fc.option(contextIds, { nil: undefined }),
    action: actions,
    type: types,
    id: fc.option(fc.constantFrom('x', 'y', 'c1'), { nil: undefined }),
    size: fc.constantFrom(undefined, 3, 7, 20, 'large'),
    department: fc.constantFrom(undefined, 'sales'),
    ownerId: fc.constantFrom(undefined, ...subjectIds),
    assigneeIds: fc.option(fc.subarray(subjectIds), { nil: undefined }),
    timeMs: instants,
    ip: fc.constantFrom(undefined, '10.1.2.3', '192.0.2.1', 'nonsense'),
    mfa: fc.constantFrom(undefined, true, false),
  })
  .map(({ subjectId: id, contextId, action, type, timeMs, ip, mfa, ...resource }) =>
    compact<PermissionRequest>({
      subjectId: id,
      subjectAttributes: undefined,
      contextId,
      planId: undefined,
      action,
      resource: compact<PermissionRequest['resource']>({
        type,
        id: resource.id,
        attributes: compact({
          size: resource.size,
          department: resource.department,
          ownerId: resource.ownerId,
          assigneeIds: resource.assigneeIds,
        }),
      }),
      environment: compact({ timeMs, ip, mfa }),
    }),
  );
