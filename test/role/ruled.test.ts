import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyChanges,
  buildSnapshot,
  createPermissionSets,
  type Decision,
  decide,
  defaultDecideOptions,
  emptySnapshot,
  listEffectivePermissions,
  type Permission,
  type PermissionRequest,
  type Role,
  type Snapshot,
  toDecision,
  type World,
} from '../../subgraphs/role/decision/index.ts';
import type { InheritanceRules } from '../../subgraphs/role/hierarchy/index.ts';
import { findHierarchyRefusal } from '../../subgraphs/role/hierarchy/index.ts';
import { decideRuled } from './ruledReference.ts';
import { requests, ruledWorlds } from './worlds.ts';

const timeMs = Date.UTC(2026, 0, 5, 12);
const runs = { numRuns: 1_000 };

function ask(snapshot: Snapshot, request: PermissionRequest): Decision {
  const at = request.environment?.timeMs ?? timeMs;
  return toDecision(decide(snapshot, { request, timeMs: at, options: defaultDecideOptions }));
}

const allow = (permissionId: string, action = 'read'): Permission => ({
  permissionId,
  resourceType: 'plan',
  actions: [action],
  effect: 'allow',
});
const deny = (permissionId: string, action = 'read'): Permission => ({
  ...allow(permissionId, action),
  effect: 'deny',
});
const afterApproval = (permissionId: string): Permission => ({ ...allow(permissionId), approvalRequired: {} });

const role = (roleId: string, permissions: Permission[], more: Partial<Role> = {}): Role => ({
  roleId,
  name: roleId,
  status: 'active',
  permissions,
  parents: [],
  ...more,
});

function heir(given: Partial<InheritanceRules>, permissions: Permission[], ...parents: Role[]): World {
  const inheritanceRules: InheritanceRules = {
    mergeStrategy: 'union',
    conflictResolution: 'deny',
    maxDepth: 10,
    ...given,
  };
  const edges = parents.map(({ roleId }) => ({ roleId, type: 'full' as const }));
  return {
    roles: [...parents, role('heir', permissions, { parents: edges, inheritanceRules })],
    assignments: [{ assignmentId: 'a', roleId: 'heir', subjectId: 's', status: 'active' }],
    delegations: [],
    subjects: [],
    separationRules: [],
  };
}

const read = { subjectId: 's', action: 'read', resource: { type: 'plan' } };
const outcome = (world: World) => ask(buildSnapshot(world), read).decision;

describe('merge of what parents give', () => {
  it('union takes what any gives, intersection what all give, and denials come from each', () => {
    const one = role('one', [allow('1')]);
    const two = role('two', []);
    expect(outcome(heir({}, [], one, two))).toBe('PERMIT');
    expect(outcome(heir({ mergeStrategy: 'intersection' }, [], one, two))).toBe('DENY');
    expect(outcome(heir({ mergeStrategy: 'intersection' }, [], one, role('two', [allow('2')])))).toBe('PERMIT');
    expect(outcome(heir({ mergeStrategy: 'intersection' }, [], one, role('two', [afterApproval('2')])))).toBe(
      'NEEDS_APPROVAL',
    );
    const denied = ask(
      buildSnapshot(heir({ mergeStrategy: 'intersection' }, [allow('own')], one, role('two', [deny('2')]))),
      read,
    );
    expect(denied).toMatchObject({ reason: 'explicit_deny', source: { permissionId: '2', path: ['heir', 'two'] } });
  });

  it('priority lets the first parent decide that has a rule for the request', () => {
    const [yes, no] = [role('zyes', [allow('1')]), role('ano', [deny('2')])];
    expect(outcome(heir({ mergeStrategy: 'priority' }, [], yes, no))).toBe('PERMIT');
    expect(outcome(heir({ mergeStrategy: 'priority' }, [], no, yes))).toBe('DENY');
    expect(outcome(heir({ mergeStrategy: 'priority' }, [], role('silent', [deny('3', 'update')]), yes, no))).toBe(
      'PERMIT',
    );
  });
});

describe('where an allow and a denial meet', () => {
  const parent = role('parent', [deny('no')]);
  const by = (conflictResolution: InheritanceRules['conflictResolution'], permissions: Permission[]) =>
    outcome(heir({ conflictResolution }, permissions, parent));

  it('each resolution has its outcome', () => {
    expect(by('deny', [allow('yes')])).toBe('DENY');
    expect(by('most_restrictive', [allow('yes')])).toBe('DENY');
    expect(by('allow', [allow('yes')])).toBe('PERMIT');
    expect(by('least_restrictive', [allow('yes')])).toBe('PERMIT');
    expect(by('escalate', [allow('yes')])).toBe('NEEDS_APPROVAL');
    expect(by('allow', [afterApproval('yes')])).toBe('DENY');
    expect(by('least_restrictive', [afterApproval('yes')])).toBe('NEEDS_APPROVAL');
    const lenient = role('parent', [allow('plain')]);
    expect(outcome(heir({ conflictResolution: 'most_restrictive' }, [afterApproval('yes')], lenient))).toBe(
      'NEEDS_APPROVAL',
    );
    expect(outcome(heir({}, [afterApproval('yes')], lenient))).toBe('PERMIT');
  });

  it('an escalated conflict names both and asks a person, whatever else is allowed', () => {
    const world = heir({ conflictResolution: 'escalate' }, [allow('yes')], parent);
    const wide = role('wide', [allow('wide')]);
    const decision = ask(
      buildSnapshot({
        ...world,
        roles: [...world.roles, wide],
        assignments: [...world.assignments, { assignmentId: 'b', roleId: 'wide', subjectId: 's', status: 'active' }],
      }),
      read,
    );
    expect(decision).toMatchObject({
      granted: false,
      decision: 'NEEDS_APPROVAL',
      source: { permissionId: 'yes', grantingRoleId: 'heir' },
      obligations: [{ type: 'escalation', permissionId: 'no', approvals: 1 }],
    });
  });

  it('rules end at their role: a denial of a role beside it overrides', () => {
    const world = heir({ conflictResolution: 'allow' }, [allow('yes')], parent);
    const beside = { assignmentId: 'b', roleId: 'parent', subjectId: 's', status: 'active' as const };
    expect(outcome({ ...world, assignments: [...world.assignments, beside] })).toBe('DENY');
  });

  it('effective permissions show what is left', () => {
    const list = (world: World) =>
      listEffectivePermissions(createPermissionSets(buildSnapshot(world)), { subjectId: 's', timeMs }).map(
        ({ source, conditional, needsApproval, deniedBy }) => ({
          id: source.permissionId,
          conditional,
          needsApproval,
          deniedBy,
        }),
      );
    expect(list(heir({ conflictResolution: 'allow' }, [allow('yes')], parent))).toEqual([
      { id: 'yes', conditional: false, needsApproval: false, deniedBy: undefined },
    ]);
    expect(list(heir({ conflictResolution: 'escalate' }, [allow('yes')], parent))).toEqual([
      { id: 'yes', conditional: true, needsApproval: true, deniedBy: undefined },
      { id: 'no', conditional: true, needsApproval: false, deniedBy: undefined },
    ]);
    expect(list(heir({ mergeStrategy: 'intersection' }, [], role('one', [allow('1')]), role('two', [])))).toEqual([]);
    // A role's own constraints may keep its allow back: then the denial decides, so it is listed.
    const { roles, ...world } = heir({ conflictResolution: 'allow' }, [allow('yes')], parent);
    const bound = roles.map((one) => (one.roleId === 'heir' ? { ...one, constraints: { limits: { size: 0 } } } : one));
    expect(list({ ...world, roles: bound }).map(({ id, conditional }) => [id, conditional])).toEqual([
      ['yes', true],
      ['no', true],
    ]);
  });
});

describe('in random worlds with inheritance rules', () => {
  it('decisions are those of a recursion without index, closure or cache', () => {
    fc.assert(
      fc.property(ruledWorlds, fc.array(requests, { minLength: 5, maxLength: 10 }), (world, asked) => {
        const snapshot = buildSnapshot({ ...world, delegations: [] });
        for (const request of asked) {
          const { subjectId } = request;
          expect(ask(snapshot, request).decision).toBe(decideRuled({ world, request, subjectId }));
        }
      }),
      runs,
    );
  });

  it('a denial by a role held beside wins whatever the rules of the others say', () => {
    fc.assert(
      fc.property(ruledWorlds, requests, (world, request) => {
        const { subjectId, action, resource } = request;
        const denying = role('denying', [{ ...deny('no', action), resourceType: resource.type }]);
        const held = { assignmentId: 'z', roleId: 'denying', subjectId, status: 'active' as const };
        const decision = ask(
          buildSnapshot({ ...world, roles: [...world.roles, denying], assignments: [...world.assignments, held] }),
          request,
        );
        expect(decision.reason).toBe('explicit_deny');
      }),
      runs,
    );
  });

  it('a snapshot kept change by change decides like one built at once, and nothing is permitted that is not listed', () => {
    fc.assert(
      fc.property(ruledWorlds, requests, (world, request) => {
        const rows = { ...world, delegations: [] };
        const built = buildSnapshot(rows);
        const kept = applyChanges(emptySnapshot, [
          ...rows.assignments.map((assignment) => ({ kind: 'assignment.saved', assignment }) as const),
          ...rows.roles.toReversed().map((saved) => ({ kind: 'role.saved', role: saved }) as const),
          ...rows.subjects.map((subject) => ({ kind: 'subject.saved', subject }) as const),
        ]);
        const decision = ask(built, request);
        expect(ask(kept, request).decision).toBe(decision.decision);
        const { subjectId, contextId, resource, action, environment } = request;
        const place = contextId ?? (resource.type === 'context' ? resource.id : undefined);
        const listed = listEffectivePermissions(createPermissionSets(built), {
          subjectId,
          timeMs: environment!.timeMs!,
          ...(place === undefined ? {} : { contextId: place }),
        }).filter(
          (own) =>
            ['*', resource.type].includes(own.resourceType) &&
            ['*', action].includes(own.action) &&
            [undefined, resource.id].includes(own.resourceId),
        );
        const named = listed.find(
          ({ source }) =>
            source.permissionId === decision.source?.permissionId &&
            source.grantingRoleId === decision.source.grantingRoleId,
        );
        if (decision.source !== undefined) expect(named).toBeDefined();
        // What is listed as sure is sure, as long as nothing denies.
        const isSure = listed.some((own) => own.source.effect === 'allow' && !own.conditional && !own.needsApproval);
        if (isSure && !listed.some(({ source }) => source.effect === 'deny')) {
          expect(['PERMIT', 'NEEDS_APPROVAL']).toContain(decision.decision);
          if (!listed.some(({ needsApproval }) => needsApproval)) expect(decision.decision).toBe('PERMIT');
        }
      }),
      runs,
    );
  });
});

it("a role's own bound of depth counts what its ancestors come by later", () => {
  const inheritanceRules: InheritanceRules = { mergeStrategy: 'union', conflictResolution: 'deny', maxDepth: 1 };
  const parents = [{ roleId: 'mid', type: 'full' as const }];
  const { graph } = buildSnapshot({
    roles: [role('top', []), role('mid', []), role('low', [], { parents, inheritanceRules })],
    assignments: [],
    delegations: [],
    subjects: [],
    separationRules: [],
  });
  expect(findHierarchyRefusal(graph, 'mid', ['top'])).toMatchObject({ code: 'DEPTH_EXCEEDED', depth: 2 });
  expect(findHierarchyRefusal(graph, 'new', ['low'], { maxDepth: 1 })).toMatchObject({ code: 'DEPTH_EXCEEDED' });
  expect(findHierarchyRefusal(graph, 'new', ['mid'], { maxDepth: 1 })).toBeUndefined();
});
