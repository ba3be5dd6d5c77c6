import { performance } from 'node:perf_hooks';
import { createPrincipal } from '#shared/principal.ts';
import { applyChange } from '../../subgraphs/role/decision/applyChange.ts';
import type { Assignment } from '../../subgraphs/role/decision/assignment.ts';
import { createDecisionPoint } from '../../subgraphs/role/decision/decisionPoint.ts';
import { listEffectivePermissions } from '../../subgraphs/role/decision/effectivePermissions.ts';
import { readHierarchy } from '../../subgraphs/role/decision/hierarchyView.ts';
import type { Permission } from '../../subgraphs/role/decision/permission.ts';
import { createPermissionSets, type PermissionSets } from '../../subgraphs/role/decision/permissionSets.ts';
import type { PermissionRequest } from '../../subgraphs/role/decision/request.ts';
import type { Inheritance, Role } from '../../subgraphs/role/decision/role.ts';
import { buildSnapshot, type Snapshot, type World } from '../../subgraphs/role/decision/snapshot.ts';
import { createDecisions } from '../../subgraphs/role/decisions.ts';
import { queryHierarchy } from '../../subgraphs/role/hierarchy/index.ts';
import type { TenantReplica } from '../../subgraphs/role/replicas.ts';
import { figure } from '../figure.ts';
import { createHistogram } from '../load/histogram.ts';
import { createRandom, type Random } from '../load/random.ts';
import { tellFigures } from './tellFigures.ts';

/**
 * Times of the permission decision alone, on this machine: `node perf/probes/decision.ts`. Bounds meant: a check 100 us
 * (10 us hoped for) with 1,000 roles, depth 10, 20 assignments a subject, mixed conditions; a hierarchy of 10,000 roles
 * 100 ms. `cpuUs` is the mean CPU time of a call, collection of garbage included: on a shared machine the one figure that
 * others do not disturb.
 */
const resourceTypes = ['context', 'plan', 'task', 'confirmation', 'trace', 'role', 'extension', 'system'];
const actions = ['create', 'read', 'update', 'delete', 'execute', 'approve', 'monitor', 'admin'];
const departments = ['sales', 'research', 'operations', 'support'];
const timeMs = Date.UTC(2026, 2, 10, 12);

interface Size {
  readonly roles: number;
  readonly depth: number;
  readonly subjects: number;
  readonly assignmentsPerSubject: number;
}

function makeWorld(random: Random, size: Size): World {
  const roles: Role[] = [];
  const levels = size.depth + 1;
  for (let at = 0; at < size.roles; at += 1) {
    const level = at % levels;
    const parents: Inheritance[] = [];
    const above = Math.floor(at / levels);
    for (let count = level === 0 ? 0 : 1 + random.integer(3); count > 0 && above > 0; count -= 1) {
      const parentId = `role-${random.integer(above) * levels + level - 1}`;
      if (parents.some(({ roleId }) => roleId === parentId)) continue;
      const kind = random.next();
      if (kind < 0.9) parents.push({ roleId: parentId, type: 'full' });
      else if (kind < 0.97) parents.push({ roleId: parentId, type: 'partial', excludedPermissions: ['plan:delete'] });
      else
        parents.push({ roleId: parentId, type: 'conditional', conditions: { expression: 'environment.mfa == true' } });
    }
    const permissions = Array.from({ length: 5 }, (_, index) => makePermission(random, `permission-${at}-${index}`));
    roles.push({ roleId: `role-${at}`, name: `role_${at}`, status: 'active', permissions, parents });
  }
  const assignments: Assignment[] = [];
  for (let subject = 0; subject < size.subjects; subject += 1) {
    for (let count = 0; count < size.assignmentsPerSubject; count += 1) {
      const roleId = `role-${random.integer(size.roles)}`;
      const assignmentId = `assignment-${subject}-${count}`;
      const limited = random.next() < 0.2 ? { contextId: `context-${random.integer(50)}` } : {};
      assignments.push({ assignmentId, roleId, subjectId: `subject-${subject}`, status: 'active', ...limited });
    }
  }
  const subjects = Array.from({ length: size.subjects }, (_, at) => ({
    subjectId: `subject-${at}`,
    attributes: { department: random.pick(departments), securityClearance: 'confidential' },
  }));
  return { roles, assignments, subjects, delegations: [], separationRules: [] };
}

function makePermission(random: Random, permissionId: string): Permission {
  const kind = random.next();
  const base = {
    permissionId,
    resourceType: random.next() < 0.03 ? '*' : random.pick(resourceTypes),
    actions: random.next() < 0.05 ? ['*'] : [random.pick(actions), random.pick(actions)],
    effect: random.next() < 0.02 ? ('deny' as const) : ('allow' as const),
  };
  if (kind < 0.5) return base;
  if (kind < 0.6) return { ...base, resourceId: `resource-${random.integer(100)}` };
  if (kind < 0.7) {
    const timeBased = { start: '08:00', end: '18:00', timezone: 'Europe/Berlin', daysOfWeek: [1, 2, 3, 4, 5] };
    return { ...base, conditions: { timeBased } };
  }
  if (kind < 0.8) {
    return { ...base, conditions: { locationBased: { allowedIpRanges: ['10.0.0.0/8', '2001:db8::/32'] } } };
  }
  if (kind < 0.9) {
    const expression = 'subject.department == resource.department OR subject.securityClearance >= "secret"';
    return { ...base, conditions: { expression } };
  }
  return {
    ...base,
    conditions: { minClearance: 'internal' },
    scope: { contextIds: [`context-${random.integer(50)}`] },
  };
}

function makeRequest(random: Random, subjects: number): PermissionRequest {
  return {
    subjectId: `subject-${random.integer(subjects)}`,
    contextId: `context-${random.integer(50)}`,
    action: random.pick(actions),
    resource: {
      type: random.pick(resourceTypes),
      id: `resource-${random.integer(100)}`,
      attributes: { department: random.pick(departments) },
    },
    environment: { timeMs, ip: '10.1.2.3', mfa: random.next() < 0.5 },
  };
}

const rows: Record<string, string | number>[] = [];

function measure(
  what: string,
  count: number,
  call: (at: number) => unknown,
): { p50Us: number; p95Us: number; p99Us: number } {
  for (let at = 0; at < count / 10; at += 1) call(at);
  const histogram = createHistogram();
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  for (let at = 0; at < count; at += 1) {
    const from = performance.now();
    call(at);
    histogram.record(performance.now() - from);
  }
  const perSecond = Math.round((count * 1_000) / (performance.now() - began));
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuUs = Number(((user + system) / count).toFixed(2));
  const us = (ms: number) => Number((ms * 1_000).toFixed(2));
  const { p50Ms, p95Ms, p99Ms } = histogram.summary();
  const times = { p50Us: us(p50Ms), p95Us: us(p95Ms), p99Us: us(p99Ms) };
  rows.push({ what, count, ...times, cpuUs, perSecond });
  return times;
}

function heapMb(): number {
  global.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1_048_576;
}

function probeChecks(random: Random): void {
  const size = { roles: 1_000, depth: 10, subjects: 1_000, assignmentsPerSubject: 20 };
  const snapshot = buildSnapshot(makeWorld(random, size));
  const requests = Array.from({ length: 20_000 }, () => makeRequest(random, size.subjects));
  const requestAt = (at: number) => requests[at % requests.length]!;
  const uncached = createDecisionPoint({ readSnapshot: () => snapshot, maxDecisions: 1, maxSubjects: 1 });
  measure('check, nothing kept', 100_000, (at) => uncached.checkPermission(requestAt(at)));
  const known = createDecisionPoint({ readSnapshot: () => snapshot, maxDecisions: 1, maxSubjects: 60_000 });
  for (const request of requests) known.checkPermission(request);
  measure('check, roles of the subject kept', 100_000, (at) => known.checkPermission(requestAt(at)));
  const cached = createDecisionPoint({ readSnapshot: () => snapshot, maxSubjects: 60_000 });
  for (const request of requests) cached.checkPermission(request);
  measure('check, decisions kept', 200_000, (at) => cached.checkPermission(requestAt(at)));
  probeService(snapshot, requests);
  const batch = requests
    .slice(0, 100)
    .map((request) => ({ ...request, subjectId: 'subject-1', contextId: 'context-1' }));
  measure('batch of 100, one subject, decisions not kept', 1_000, () => known.checkPermissions(batch));
  const outcomes = new Map<string, number>();
  for (const request of requests) {
    const { decision, reason, cacheable } = known.checkPermission(request);
    const key = `${decision} ${reason.split(':')[0]}${cacheable ? '' : ' (not cacheable)'}`;
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
  }
  console.table([...outcomes].map(([outcome, count]) => ({ outcome, share: `${(count / requests.length) * 100} %` })));
}

/** As the resolver calls it: input checked, decided, handed to the audit. The audit takes what it is given and stores nothing. */
function probeService(snapshot: Snapshot, requests: readonly PermissionRequest[]): void {
  const point = createDecisionPoint({ readSnapshot: () => snapshot, maxDecisions: 20_000, maxSubjects: 5_000 });
  const sets = createPermissionSets(snapshot);
  const replica: TenantReplica = { revision: 1, snapshot, point, sets: () => sets };
  const unused = () => Promise.reject(new Error('not asked here'));
  const decisions = createDecisions(
    {
      replicas: {
        peek: () => replica,
        load: unused,
        readLocked: unused,
        adopt: () => {},
        onChanged: () => () => {},
        catchUp: unused,
        close: async () => {},
      },
      audit: { record: () => {}, flush: async () => {}, waiting: 0, close: async () => {} },
    },
    { evaluationTimeoutMs: 1_000 },
  );
  const principal = createPrincipal({ tenantId: 'one', subject: 'asker', scopes: ['role:read'] });
  const inputs = requests.map(({ subjectId, action, resource, environment }) => ({
    subjectId,
    action,
    resource,
    environment: { time: timeMs, ip: environment?.ip, mfa: environment?.['mfa'] },
  }));
  const { p50Us, p95Us, p99Us } = measure('check at the service boundary', 100_000, (at) =>
    decisions.check({ principal }, inputs[at % inputs.length]),
  );
  tellFigures(
    figure('checkPermission at the service boundary', p95Us, 'us p95', {
      below: 100,
      note: `1,000 roles, depth 10, 20 assignments a subject, mixed conditions; p50 ${p50Us}, p99 ${p99Us} us; perf/probes/decision.ts`,
    }),
  );
}

function probeChanges(random: Random): void {
  const before = heapMb();
  const size = { roles: 10_000, depth: 10, subjects: 10_000, assignmentsPerSubject: 10 };
  const world = makeWorld(random, size);
  const rowsMb = heapMb() - before;
  const from = performance.now();
  let snapshot: Snapshot = buildSnapshot(world);
  rows.push({ what: 'rebuild, 10,000 roles and 100,000 assignments', count: 1, ms: performance.now() - from });
  rows.push({ what: 'rows themselves, MB', count: 1, mb: rowsMb });
  rows.push({ what: 'snapshot beside them, MB', count: 1, mb: heapMb() - before - rowsMb });
  measure('apply: permissions of a role', 2_000, () => {
    const role = random.pick(world.roles);
    const permissions = [...role.permissions.slice(1), makePermission(random, role.permissions[0]!.permissionId)];
    snapshot = applyChange(snapshot, { kind: 'role.saved', role: { ...role, permissions } });
  });
  measure('apply: one parent less, and back (two changes)', 1_000, () => {
    const role = random.pick(world.roles);
    snapshot = applyChange(snapshot, { kind: 'role.saved', role: { ...role, parents: role.parents.slice(1) } });
    snapshot = applyChange(snapshot, { kind: 'role.saved', role });
  });
  measure('apply: assignment', 5_000, () => {
    const assignment = random.pick(world.assignments);
    snapshot = applyChange(snapshot, { kind: 'assignment.saved', assignment });
  });
  const { graph } = snapshot;
  const top = graph.nodes.reduce((best, node) => (node!.children.length > best!.children.length ? node : best))!;
  const query = { direction: 'BOTH' } as const;
  measure('hierarchy of the role with most descendants', 50, () => queryHierarchy(graph, top.roleId, query));
  const sets = createPermissionSets(snapshot);
  measure('effective permissions of a subject, with paths', 50, (at) =>
    listEffectivePermissions(sets, { subjectId: `subject-${at}`, timeMs }),
  );
  console.log(`roles in that hierarchy: ${queryHierarchy(graph, top.roleId, query)!.entries.length}`);
}

/** One root with 10,000 roles below it, four children each. */
function probeTree(random: Random): void {
  const roles = Array.from({ length: 10_000 }, (_, at): Role => {
    const parents: Inheritance[] = at === 0 ? [] : [{ roleId: `role-${(at - 1) >> 2}`, type: 'full' }];
    const permissions = [0, 1].map((index) => makePermission(random, `permission-${at}-${index}`));
    return { roleId: `role-${at}`, name: `role_${at}`, status: 'active', permissions, parents };
  });
  const snapshot = buildSnapshot({ roles, assignments: [], subjects: [], delegations: [], separationRules: [] });
  const query = { direction: 'DESCENDANTS' } as const;
  measure('10,000 roles below one: levels and edges', 30, () => queryHierarchy(snapshot.graph, 'role-0', query));
  const readAll = (sets: PermissionSets) => {
    const view = readHierarchy(sets, 'role-0', query)!;
    return view.entries.reduce((sum, entry) => sum + entry.permissions.certain.length + entry.own.length, 0);
  };
  measure('with permissions of all and provenance, first of a version', 30, () =>
    readAll(createPermissionSets(snapshot)),
  );
  const kept = createPermissionSets(snapshot);
  measure('with permissions of all and provenance, sets kept', 30, () => readAll(kept));
}

const random = createRandom(7);
probeTree(random);
probeChecks(random);
probeChanges(random);
console.table(rows);
