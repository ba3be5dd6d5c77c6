import type { BeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { type ErrorCode, PlatformError, toUserError, type UserErrorShape } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { requireAdministration, requireRoleAdmin } from './administration.ts';
import { applyAssignmentRules } from './assignmentRules.ts';
import { idempotentCall, type WriteOptions } from './calls.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import { requireConstraints } from './conditionInputs.ts';
import type { Contexts } from './contexts.ts';
import { type AssignmentVerdict, isStanding, judgeAssignment } from './decision/index.ts';
import { assignmentEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { RoleLimits } from './limits.ts';
import { requireRole } from './roleRules.ts';
import type { AssignmentRuleValue, RoleAssignmentRow, RoleRow } from './rows.ts';
import type { RoleWork } from './work.ts';

const maxBulk = 100;

export interface BulkAssignment {
  readonly id: string | null;
  readonly existed: boolean;
  readonly error: UserErrorShape | null;
}

/** @throws {NOT_FOUND} */
export async function requireAssignment(work: RoleWork, id: string): Promise<RoleAssignmentRow> {
  const row = await work.findAssignment(id);
  if (!row) throw new PlatformError('NOT_FOUND', 'no such assignment', { path: ['assignmentId'] });
  return row;
}

function findStandingOne(
  { snapshot }: RoleWork,
  { roleId, subjectId, contextId }: { roleId: string; subjectId: string; contextId: string | null },
): string | undefined {
  const own = snapshot.subjects.get(subjectId)?.assignments ?? [];
  return own.find(({ row }) => isStanding(row) && row.roleId === roleId && (row.contextId ?? null) === contextId)?.row
    .assignmentId;
}

/** The row as it ends or goes on, told to everybody. */
export function saveStatus(
  work: RoleWork,
  row: RoleAssignmentRow,
  change: Pick<RoleAssignmentRow, 'status'> & Partial<Pick<RoleAssignmentRow, 'statusReason' | 'approval'>>,
): RoleAssignmentRow {
  const next = {
    ...row,
    ...change,
    version: row.version + 1,
    updatedAt: work.now,
    updatedBy: work.principal.subject,
  };
  work.saveAssignments([next]);
  const type = next.status === 'revoked' ? 'role.revoked' : 'role.assignment.changed';
  const name = work.snapshot.roles[work.snapshot.graph.indexes.get(row.roleId) ?? -1]?.role.name ?? '';
  work.tell(assignmentEvent(type, next, { id: row.roleId, name }));
  work.note({
    action: `role.assignment.${next.status}`,
    resource: 'RoleAssignment',
    resourceId: row.id,
    detail: { subjectId: row.subjectId, roleId: row.roleId, from: row.status, reason: next.statusReason },
  });
  return next;
}

/** @throws {ROLE_NOT_ACTIVE} {CARDINALITY_EXCEEDED} {SOD_VIOLATION} {INSUFFICIENT_CAPABILITIES} {PREREQUISITES_MISSING} Answers whether an exception is to be approved. */
function requirePossible(verdict: AssignmentVerdict, requestException: boolean): boolean {
  const exceptions = new Set(verdict.needsException);
  const refusal = verdict.refusals.find(
    (found) => !(requestException && found.code === 'SOD_VIOLATION' && exceptions.has(found.violation)),
  );
  if (refusal !== undefined) {
    const details =
      refusal.code === 'SOD_VIOLATION'
        ? { ruleId: refusal.violation.ruleId, exceptionPossible: exceptions.has(refusal.violation) }
        : refusal.code === 'PREREQUISITES_MISSING'
          ? {
              certifications: refusal.missing.certifications,
              clearance: refusal.missing.clearance ?? null,
              seniority: refusal.missing.seniority ?? null,
            }
          : refusal.code === 'INSUFFICIENT_CAPABILITIES'
            ? { score: refusal.match.score, gaps: refusal.match.gaps }
            : {};
    throw new PlatformError(refusal.code satisfies ErrorCode, refusal.message, { path: ['input', 'roleId'], details });
  }
  return exceptions.size > 0;
}

function requestApproval(
  work: RoleWork,
  assignment: RoleAssignmentRow,
  { rule, role, isCritical }: { rule: AssignmentRuleValue | null; role: RoleRow; isCritical: boolean },
): void {
  work.tell({
    streamId: assignment.id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'other',
        targetId: assignment.id,
        contextId: assignment.contextId,
        confirmationType: 'role_assignment',
        title: `Assign the role ${role.name} to ${assignment.subjectId}`,
        reason: assignment.reason ?? 'a rule of the role asks for an approval',
        requestedBy: work.principal.subject,
        requestedByRole: null,
        approverRoles: rule?.approverRoles ?? [],
        approvers: [],
        // An exception from what is separated critically takes two.
        ...(isCritical ? { quorum: { kind: 'at_least', required: 2 } } : {}),
        reference: { module: 'role', kind: 'assignment', assignmentId: assignment.id },
      },
    },
    tags: [],
  });
}

export interface AssignmentDeps {
  readonly contexts: Contexts;
  readonly hooks: BeforeHooks;
  readonly limits: RoleLimits;
}

type Asked = inputs.AssignRoleInput;

/** What is asked for; AUTOMATIC by the module alone. */
export interface Assigned
  extends Pick<Asked, 'roleId' | 'subjectId' | 'reason' | 'requestException'>,
    Partial<Pick<Asked, 'contextId' | 'validFrom' | 'expiresAt' | 'constraints'>> {
  readonly type: Asked['type'] | 'automatic';
}

/** @throws as `assign` of the assignments, of which it is the part under the lock. */
export async function assignIn(work: RoleWork, input: Assigned, limits: RoleLimits): Promise<RoleResponse> {
  const { roleId, subjectId, contextId = null, requestException } = input;
  const role = await requireRole(work, roleId, ['input', 'roleId']);
  requireAdministration(work, { roleId, contextId });
  const standing = findStandingOne(work, { roleId, subjectId, contextId });
  if (standing !== undefined) return { id: standing, existed: true, warnings: [] };
  const proposal = { roleId, subjectId, timeMs: work.timeMs, ...(contextId === null ? {} : { contextId }) };
  const verdict = judgeAssignment(work.sets(), proposal, limits.assignment);
  const isException = requirePossible(verdict, requestException);
  const rule = applyAssignmentRules(work, role, { subjectId, contextId });
  const isCritical = isException && verdict.needsException.some(({ severity }) => severity === 'critical');
  const needsApproval = isException || rule?.action === 'require_approval';
  const { validFrom, expiresAt = new Date(work.timeMs + limits.assignmentLifeMs) } = input;
  requireTimes(work, validFrom, expiresAt);
  const assignment: RoleAssignmentRow = {
    tenantId: work.tenantId,
    id: newId(),
    roleId,
    subjectId,
    contextId,
    type: input.type,
    status: needsApproval ? 'pending' : 'active',
    assignedBy: work.principal.subject,
    reason: input.reason ?? null,
    statusReason: null,
    validFrom: validFrom?.toISOString() ?? null,
    expiresAt: expiresAt.toISOString(),
    constraints: (input.constraints as RoleAssignmentRow['constraints'] | undefined) ?? null,
    activeIn: [],
    approval: needsApproval ? { required: true, status: 'pending' } : null,
    version: 1,
    revision: 0,
    createdAt: work.now,
    updatedAt: work.now,
    updatedBy: work.principal.subject,
  };
  work.saveAssignments([assignment]);
  work.tell(assignmentEvent('role.assigned', assignment, role));
  if (needsApproval) requestApproval(work, assignment, { rule, role, isCritical });
  work.note({
    action: 'role.assign',
    resource: 'RoleAssignment',
    resourceId: assignment.id,
    detail: { subjectId, roleId, contextId, status: assignment.status },
  });
  const warnings = verdict.warnings.map(
    ({ holds }) => `separation of duties advises against ${holds.map((hold) => hold.roleId).join(', ')} together`,
  );
  return { id: assignment.id, existed: false, warnings };
}

export function createAssignments(commands: RoleCommands, { contexts, hooks, limits }: AssignmentDeps) {
  /** What extensions that are asked before it make of an assignment in a context: its reason and its conditions. */
  async function heard(
    scope: RequestScope,
    { contextId, roleId, subjectId, ...said }: Omit<inputs.AssignRoleInput, 'idempotencyKey'>,
    path: readonly (string | number)[],
  ): Promise<inputs.AssignmentTerms | null> {
    // Extensions lie in contexts.
    if (contextId === undefined) return null;
    const { type, validFrom, expiresAt, reason, constraints } = said;
    return hooks.ask(scope, {
      point: 'role.before_assignment',
      contextId,
      payload: { roleId, subjectId, type, validFrom, expiresAt, reason, constraints },
      read(payload) {
        const terms = parseInput(inputs.assignmentTerms, payload, path);
        requireConstraints(terms.constraints, path);
        return terms;
      },
    });
  }

  async function add(scope: RequestScope, raw: unknown, path: readonly (string | number)[]): Promise<RoleResponse> {
    const { idempotencyKey, ...input } = parseInput(inputs.assignRole, raw, path) as inputs.AssignRoleInput;
    requireConstraints(input.constraints, path);
    if (input.contextId !== undefined) await contexts.requireKnown(scope.principal, input.contextId);
    const changed = await heard(scope, input, path);
    return commands.add({
      scope,
      idempotent: idempotentCall(scope, 'assignRole', input, idempotencyKey),
      roleIds: [String(input.roleId)],
      decide: (work) => assignIn(work, { ...(input as inputs.AssignRoleInput), ...changed }, limits),
    });
  }

  function change(
    scope: RequestScope,
    assignmentId: string,
    { operation, input, options }: { operation: string; input: unknown; options: WriteOptions },
    decide: (work: RoleWork, row: RoleAssignmentRow) => void,
  ): Promise<RoleResponse> {
    const { expectedVersion = null } = options;
    return commands.add({
      scope,
      idempotent: idempotentCall(scope, operation, { assignmentId, input, expectedVersion }, options.idempotencyKey),
      async decide(work) {
        const row = await requireAssignment(work, assignmentId);
        requireRoleAdmin(work, row.roleId, row.contextId);
        requireVersion(expectedVersion, row.version);
        decide(work, row);
        return { id: assignmentId };
      },
    });
  }

  const requireStatus = (row: RoleAssignmentRow, ...expected: readonly RoleAssignmentRow['status'][]) => {
    if (expected.includes(row.status)) return;
    const wanted = expected.map((status) => status.toUpperCase()).join(' or ');
    throw new PlatformError(
      'INVALID_STATE_TRANSITION',
      `expected ${wanted}, the assignment is ${row.status.toUpperCase()}`,
    );
  };
  const readReason = (reason: string | null | undefined) => parseInput(inputs.reason, reason, ['reason']) ?? null;

  return {
    /** @throws {ROLE_NOT_FOUND} {SOD_VIOLATION} {CARDINALITY_EXCEEDED} {INSUFFICIENT_CAPABILITIES} {ESCALATION_REFUSED} */
    assign: (scope: RequestScope, raw: unknown) => add(scope, raw, ['input']),

    /** Each by itself; with a key each has its own, derived from it. */
    async assignMany(
      scope: RequestScope,
      raws: readonly object[],
      key: string | null | undefined,
    ): Promise<BulkAssignment[]> {
      if (raws.length === 0 || raws.length > maxBulk)
        throw new PlatformError('VALIDATION_FAILED', `inputs: expected 1 to ${maxBulk}, got ${raws.length}`, {
          path: ['inputs'],
        });
      const checked = parseInput(inputs.optionalKey, key, ['idempotencyKey']) as string | undefined;
      return Promise.all(
        raws.map(async (raw, at): Promise<BulkAssignment> => {
          const input = checked === undefined ? raw : { ...raw, idempotencyKey: `${checked.slice(0, 190)}/${at}` };
          try {
            const { id, existed } = await add(scope, input, ['inputs', at]);
            return { id: String(id), existed: existed === true, error: null };
          } catch (error) {
            if (!(error instanceof PlatformError) || error.code === 'UNAVAILABLE') throw error;
            return { id: null, existed: false, error: toUserError(error) };
          }
        }),
      );
    },

    revoke: (
      scope: RequestScope,
      id: string,
      { reason, ...options }: WriteOptions & { reason?: string | null | undefined },
    ) =>
      change(scope, id, { operation: 'revokeRole', input: { reason: readReason(reason) }, options }, (work, row) => {
        requireStatus(row, 'pending', 'active', 'suspended');
        requireAdministration(work, {
          roleId: row.roleId,
          contextId: row.contextId,
          grants: false,
          lifts: row.status === 'active',
        });
        saveStatus(work, row, { status: 'revoked', statusReason: readReason(reason) });
      }),

    suspend: (
      scope: RequestScope,
      id: string,
      { reason, ...options }: WriteOptions & { reason?: string | null | undefined },
    ) =>
      change(
        scope,
        id,
        { operation: 'suspendAssignment', input: { reason: readReason(reason) }, options },
        (work, row) => {
          requireStatus(row, 'active');
          requireAdministration(work, { roleId: row.roleId, contextId: row.contextId, grants: false, lifts: true });
          saveStatus(work, row, { status: 'suspended', statusReason: readReason(reason) });
        },
      ),

    resume: (scope: RequestScope, id: string, options: WriteOptions) =>
      change(scope, id, { operation: 'resumeAssignment', input: null, options }, (work, row) => {
        requireStatus(row, 'suspended');
        requireAdministration(work, { roleId: row.roleId, contextId: row.contextId });
        saveStatus(work, row, { status: 'active', statusReason: null });
      }),
  };
}

function requireTimes({ timeMs }: RoleWork, validFrom: Date | undefined, expiresAt: Date): void {
  const fail = (field: string, expected: string) => {
    throw new PlatformError('VALIDATION_FAILED', `input.${field}: expected ${expected}`, { path: ['input', field] });
  };
  if (expiresAt.getTime() <= timeMs) fail('expiresAt', 'a time in the future');
  if (validFrom !== undefined && validFrom >= expiresAt) fail('validFrom', 'a time before expiresAt');
}
