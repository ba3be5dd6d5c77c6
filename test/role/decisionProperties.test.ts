import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildSnapshot,
  createDecisionPoint,
  type Decision,
  decide,
  defaultDecideOptions,
  type PermissionRequest,
  type Role,
  type Snapshot,
  toDecision,
  type World,
} from '../../subgraphs/role/decision/index.ts';
import { decideByReference } from './reference.ts';
import { requests, worlds } from './worlds.ts';

const runs = { numRuns: 800 };
const many = fc.array(requests, { minLength: 5, maxLength: 12 });

function ask(snapshot: Snapshot, request: PermissionRequest): Decision {
  const timeMs = request.environment!.timeMs!;
  return toDecision(decide(snapshot, { request, timeMs, options: defaultDecideOptions }));
}

function outcomeOf({ decision, reason }: Decision): string {
  return `${decision} ${reason}`;
}

describe('decisions in random worlds', () => {
  it('are those of the reference procedure', () => {
    fc.assert(
      fc.property(worlds, many, (world, asked) => {
        const snapshot = buildSnapshot(world);
        for (const request of asked) {
          const decision = ask(snapshot, request);
          const reference = decideByReference(world, request);
          expect(decision.decision).toBe(reference.decision);
          expect(decision.granted).toBe(reference.decision === 'PERMIT');
          expect(decision.reason === 'explicit_deny').toBe(reference.isExplicit);
          if (reference.isError) expect(decision.reason).toBe('evaluation_error');
        }
      }),
      runs,
    );
  });

  it('deny when a role held denies, whatever else is allowed', () => {
    fc.assert(
      fc.property(worlds, requests, (world, request) => {
        const denying: Role = {
          roleId: 'denying',
          name: 'denying',
          status: 'active',
          parents: [],
          permissions: [
            { permissionId: 'no', resourceType: request.resource.type, actions: [request.action], effect: 'deny' },
          ],
        };
        const held = { assignmentId: 'z', roleId: 'denying', subjectId: request.subjectId, status: 'active' as const };
        const decision = ask(
          buildSnapshot({ ...world, roles: [...world.roles, denying], assignments: [...world.assignments, held] }),
          request,
        );
        expect(outcomeOf(decision)).toBe('DENY explicit_deny');
      }),
      runs,
    );
  });

  it('deny a subject whose assignments are revoked and to whom nothing is delegated', () => {
    fc.assert(
      fc.property(worlds, requests, (world, request) => {
        const assignments = world.assignments.map((row) => ({ ...row, status: 'revoked' as const }));
        const decision = ask(buildSnapshot({ ...world, assignments, delegations: [] }), request);
        expect(outcomeOf(decision)).toBe('DENY no_roles');
      }),
      runs,
    );
  });

  it('do not change with a role that the subject has nothing to do with', () => {
    fc.assert(
      fc.property(worlds, requests, (world, request) => {
        const unrelated: Role = {
          roleId: 'a-first-by-name',
          name: 'unrelated',
          status: 'active',
          parents: [{ roleId: 'r0', type: 'full' }],
          permissions: [
            { permissionId: 'a', resourceType: '*', actions: ['*'], effect: 'allow' },
            { permissionId: 'b', resourceType: '*', actions: ['*'], effect: 'deny' },
          ],
        };
        const before = ask(buildSnapshot(world), request);
        const after = ask(buildSnapshot({ ...world, roles: [unrelated, ...world.roles] }), request);
        expect(after).toEqual(before);
      }),
      runs,
    );
  });

  it('name a rule that is there, matches, and is reached by the path given', () => {
    fc.assert(
      fc.property(worlds, many, (world, asked) => {
        const snapshot = buildSnapshot(world);
        for (const request of asked) expectExactSource(world, request, ask(snapshot, request));
      }),
      runs,
    );
  });

  it('are the same from the cache, where the snapshot, the time or the attributes change', () => {
    fc.assert(
      fc.property(worlds, many, (world, asked) => {
        const snapshot = buildSnapshot(world);
        const point = createDecisionPoint({ readSnapshot: () => snapshot, maxDecisions: 50, maxSubjects: 20 });
        for (const request of [...asked, ...asked.toReversed()]) {
          // What decides may come from another request with the same names; how the rest went may differ.
          const { granted, decision, reason } = point.checkPermission(request);
          const fresh = ask(snapshot, request);
          expect({ granted, decision, reason }).toEqual({
            granted: fresh.granted,
            decision: fresh.decision,
            reason: fresh.reason,
          });
        }
      }),
      runs,
    );
  });

  it('hold until the instant they say', () => {
    fc.assert(
      fc.property(worlds, requests, fc.double({ min: 0, max: 0.999, noNaN: true }), (world, request, share) => {
        const snapshot = buildSnapshot(world);
        const decision = ask(snapshot, request);
        if (!decision.cacheable) return;
        const timeMs = request.environment!.timeMs!;
        const end = Math.min(decision.validUntilMs, timeMs + 1e9);
        const later = Math.floor(timeMs + (end - timeMs) * share);
        const environment = { ip: '203.0.113.9', timeMs: later };
        const resource = { ...request.resource, attributes: { size: 'none' } };
        expect(outcomeOf(ask(snapshot, { ...request, resource, environment }))).toBe(outcomeOf(decision));
      }),
      runs,
    );
  });
});

function expectExactSource(world: World, request: PermissionRequest, decision: Decision): void {
  const { source } = decision;
  if (source === undefined) {
    expect(decision.decision).toBe('DENY');
    return;
  }
  const role = world.roles.find(({ roleId }) => roleId === source.grantingRoleId)!;
  const permission = role.permissions.find(({ permissionId }) => permissionId === source.permissionId)!;
  expect(permission.effect).toBe(decision.decision === 'DENY' ? 'deny' : 'allow');
  expect(['*', request.resource.type]).toContain(permission.resourceType);
  expect(permission.actions.some((action) => action === '*' || action === request.action)).toBe(true);
  expect([undefined, '*', request.resource.id]).toContain(permission.resourceId);
  let holder = request.subjectId;
  for (const delegationId of source.delegationIds) {
    const delegation = world.delegations.find((row) => row.delegationId === delegationId)!;
    expect(delegation.delegateId).toBe(holder);
    holder = delegation.delegatorId;
  }
  const assignment = world.assignments.find(({ assignmentId }) => assignmentId === source.assignmentId)!;
  expect(assignment).toMatchObject({ subjectId: holder, roleId: source.heldRoleId, status: 'active' });
  expect(source.path[0]).toBe(source.heldRoleId);
  expect(source.path.at(-1)).toBe(source.grantingRoleId);
  for (let at = 1; at < source.path.length; at += 1) {
    const child = world.roles.find(({ roleId }) => roleId === source.path[at - 1])!;
    expect(child.parents.map(({ roleId }) => roleId)).toContain(source.path[at]);
  }
  // The named rule, by the named way, is enough for the decision: nothing else of the world is needed.
  const onPath = world.roles.filter(({ roleId }) => source.path.includes(roleId));
  const alone: World = {
    ...world,
    assignments: [assignment],
    delegations: world.delegations.filter(({ delegationId }) => source.delegationIds.includes(delegationId)),
    roles: onPath.map((row) => ({
      ...row,
      permissions: row === role ? [permission] : [],
      parents: row.parents.filter(({ roleId }) => source.path[source.path.indexOf(row.roleId) + 1] === roleId),
    })),
  };
  const again = decideByReference(alone, request);
  expect(again.decision).toBe(decision.decision);
}
