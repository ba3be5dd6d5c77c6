import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { Permission } from '../../subgraphs/role/decision/index.ts';
import type { RoleAssignmentRow, RoleRow } from '../../subgraphs/role/rows.ts';
import { lockTenant, saveRevision, upsertAssignments, upsertRoles } from '../../subgraphs/role/store.ts';
import { subjectStream } from '../../subgraphs/role/subjectStream.ts';
import { createRandom, type Random } from '../load/random.ts';
import { perfTenant } from './context.ts';

export interface RoleSeed {
  readonly roles: number;
  readonly subjects: number;
  readonly assignments: number;
}

export const resourceTypes = ['context', 'plan', 'task', 'confirm', 'trace', 'role', 'extension', 'system'] as const;
export const actions = ['create', 'read', 'update', 'delete', 'execute', 'approve', 'monitor', 'admin'] as const;
const levels = 6;
const chunkRows = 1_000;
const seededAt = '2026-01-01T00:00:00.000Z';

// The hash of a name in the form of an id: it serves streams and rows alike.
export const roleIdOf = (index: number): string => subjectStream(`perf role ${index}`);
export const subjectOf = (index: number): string => `agent-${index}`;

/** Half of what can be asked for is granted by no role: who holds ten roles with their parents holds all of the rest. */
const grantedActions = new Map(
  resourceTypes.map((type, at) => [type, actions.filter((_, index) => (index + at) % 2 === 0)]),
);

/** Whether any seeded role could grant it. */
export function isGrantable(type: (typeof resourceTypes)[number], action: (typeof actions)[number]): boolean {
  return grantedActions.get(type)!.includes(action);
}

/** Two permissions in ten are under a condition, one in fifty is a denial. */
function permissionOf(random: Random, permissionId: string): Permission {
  const resourceType = random.pick(resourceTypes);
  const granted = grantedActions.get(resourceType)!;
  // Who asks holds such roles too, and must not be denied the asking.
  const effect = random.next() < 0.02 && resourceType !== 'role' ? 'deny' : 'allow';
  const base: Permission = {
    permissionId,
    resourceType,
    actions: [random.pick(granted), random.pick(granted)],
    effect,
  };
  const kind = random.next();
  if (kind < 0.8) return base;
  if (kind < 0.9) return { ...base, conditions: { expression: 'resource.department == "sales"' } };
  return { ...base, conditions: { timeBased: { start: '00:00', end: '24:00', timezone: 'Europe/Berlin' } } };
}

/** Roles in trees of depth five. */
function* seededRoles(count: number): Generator<RoleRow> {
  const random = createRandom(11);
  for (let at = 0; at < count; at += 1) {
    const level = at % levels;
    const rows = Math.floor(at / levels);
    const parents =
      level === 0 ? [] : [{ roleId: roleIdOf(random.integer(rows + 1) * levels + level - 1), type: 'full' as const }];
    yield {
      tenantId: perfTenant,
      id: roleIdOf(at),
      name: `role_${at}`,
      scopeKey: 'global',
      displayName: null,
      description: null,
      roleType: 'functional',
      status: 'active',
      scope: { level: 'global' },
      securityLevel: 'medium',
      permissions: Array.from({ length: 4 }, (_, index) => permissionOf(random, `p${at}-${index}`)),
      capabilities: [],
      inheritanceRules: null,
      delegationRules: null,
      capabilityProfiles: [],
      parents,
      attributes: {},
      separationOfDuties: [],
      assignmentRules: [],
      constraints: null,
      maxHolders: null,
      autoAssign: false,
      effectiveAt: null,
      expiresAt: null,
      begunAt: null,
      reviewEveryDays: null,
      nextReviewAt: null,
      reviewToldAt: null,
      reviewedAt: null,
      reviewedBy: null,
      governance: null,
      protocol: null,
      version: 1,
      revision: 1,
      deletedAt: null,
      createdAt: seededAt,
      createdBy: 'seed',
      updatedAt: seededAt,
      updatedBy: 'seed',
    };
  }
}

function* seededAssignments({ roles, subjects, assignments }: RoleSeed): Generator<RoleAssignmentRow> {
  const each = Math.floor(assignments / subjects);
  for (let at = 0; at < each * subjects; at += 1) {
    const subject = Math.floor(at / each);
    yield {
      tenantId: perfTenant,
      id: subjectStream(`perf assignment ${at}`),
      roleId: roleIdOf((subject * 31 + (at % each) * 7) % roles),
      subjectId: subjectOf(subject),
      contextId: null,
      type: 'manual',
      status: 'active',
      assignedBy: 'seed',
      reason: null,
      statusReason: null,
      validFrom: null,
      expiresAt: null,
      constraints: null,
      activeIn: [],
      approval: null,
      version: 1,
      revision: 1,
      createdAt: seededAt,
      updatedAt: seededAt,
      updatedBy: 'seed',
    };
  }
}

export async function seedRoles(sql: Sql, seed: RoleSeed, log: (text: string) => void): Promise<void> {
  await sql.begin(async (tx) => {
    await lockTenant(tx, perfTenant);
    await inChunks(tx, seededRoles(seed.roles), upsertRoles);
    await inChunks(tx, seededAssignments(seed), upsertAssignments);
    await saveRevision(tx, perfTenant, 1);
  });
  log(`${seed.roles} roles, ${seed.assignments} assignments`);
}

async function inChunks<Row>(
  tx: SqlTransaction,
  rows: Iterable<Row>,
  save: (tx: SqlTransaction, rows: readonly Row[]) => Promise<void>,
): Promise<void> {
  let chunk: Row[] = [];
  for (const row of rows) {
    chunk.push(row);
    if (chunk.length < chunkRows) continue;
    await save(tx, chunk);
    chunk = [];
  }
  await save(tx, chunk);
}
