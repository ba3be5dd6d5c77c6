import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Sql } from '#shared/sql.ts';
import { textProblem } from '#shared/validation.ts';
import { toAssignmentPayload, toDelegationPayload, toPermissionRequestPayload } from './payload.ts';
import type {
  PermissionAuditEntryRow,
  PermissionRequestRow,
  RoleAssignmentRow,
  RoleDelegationRow,
  RoleRow,
  SubjectRow,
} from './rows.ts';
import { findRoles } from './store.ts';
import { accessStream, subjectStream } from './subjectStream.ts';

/** An event of a role's stream; it carries the whole row. */
export function roleEvent(type: string, role: RoleRow, changed: readonly string[] = []): NewEvent {
  return { streamId: role.id, type, data: { role, changed }, tags: [`Role:${role.id}`, 'roles'] };
}

/** An event of an assignment, in the stream of its subject. */
export function assignmentEvent(
  type: string,
  assignment: RoleAssignmentRow,
  role: Pick<RoleRow, 'id' | 'name'>,
): NewEvent {
  const { subjectId, roleId } = assignment;
  return {
    streamId: subjectStream(subjectId),
    type,
    data: { subjectId, roleId, contextId: assignment.contextId, assignment, role: { id: role.id, name: role.name } },
    tags: [
      `RoleAssignment:${assignment.id}`,
      `Subject:${subjectId}`,
      `Subject:${subjectId}:roles`,
      `Role:${roleId}:assignments`,
      'role:assignments',
    ],
  };
}

/** An event of a delegation, in the stream of the delegate. */
export function delegationEvent(type: string, delegation: RoleDelegationRow): NewEvent {
  const { delegateId, delegatorId, contextId } = delegation;
  return {
    streamId: subjectStream(delegateId),
    type,
    data: { subjectId: delegateId, contextId, delegation },
    tags: [`RoleDelegation:${delegation.id}`, `Subject:${delegateId}`, `Subject:${delegatorId}`],
  };
}

/** Asks whoever approves for the delegation, in a stream of its own. */
export function delegationRequest(delegation: RoleDelegationRow, approverRoles: readonly string[]): NewEvent {
  const { id, contextId, delegatorId, delegateId, permissions, reason } = delegation;
  return {
    streamId: id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'other',
        targetId: id,
        contextId,
        confirmationType: 'role_assignment',
        title: `Delegate ${permissions.join(', ')} to ${delegateId}`.slice(0, 500),
        reason: reason ?? 'a role on the way asks for an approval',
        requestedBy: delegatorId,
        requestedByRole: null,
        approverRoles,
        approvers: [],
        reference: { module: 'role', kind: 'delegation', delegationId: id },
      },
    },
    tags: [],
  };
}

/** An event of a request for an approval, in the stream of who asked. */
export function permissionRequestEvent(type: string, request: PermissionRequestRow): NewEvent {
  const { id, subjectId, contextId, grantingRoleId } = request;
  return {
    streamId: subjectStream(subjectId),
    type,
    data: { subjectId, roleId: grantingRoleId, contextId, permissionRequest: request },
    tags: [`PermissionRequest:${id}`, `Subject:${subjectId}`, 'role:permissionRequests'],
  };
}

/** Asks whoever approves, in a stream of its own. */
export function approvalRequest(request: PermissionRequestRow): NewEvent {
  const { id, subjectId, contextId, planId, action, resourceType, resourceId, threshold, approverRoles } = request;
  return {
    streamId: id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'other',
        targetId: id,
        contextId,
        planId,
        confirmationType: 'permission',
        title: `Permit ${subjectId} ${resourceType}:${action}${resourceId === null ? '' : ` on ${resourceId}`}`.slice(
          0,
          500,
        ),
        reason: request.reason ?? 'the permission asks for an approval',
        requestedBy: subjectId,
        requestedByRole: null,
        approverRoles,
        approvers: [],
        ...(threshold > 1 ? { quorum: { kind: 'at_least', required: threshold } } : {}),
        reference: { module: 'role', kind: 'permission', permissionRequestId: id },
      },
    },
    tags: [],
  };
}

export function subjectEvent(subject: SubjectRow): NewEvent {
  return {
    streamId: subjectStream(subject.id),
    type: 'subject.updated',
    data: { subjectId: subject.id, subject },
    tags: [`Subject:${subject.id}`, 'subjects'],
  };
}

/** Tells a holder that a role it has, itself or by inheritance, confers something else now. */
export function permissionEvent(subjectId: string, roleId: string): NewEvent {
  return {
    streamId: subjectStream(subjectId),
    type: 'permission.changed',
    data: { subjectId, roleId, contextId: null },
    tags: [`Subject:${subjectId}`],
  };
}

/** Too many denials of one subject in a short time. */
export function suspiciousEvent(subjectId: string, denials: number, last: PermissionAuditEntryRow): NewEvent {
  const { action, resourceType, resourceId, reason } = last;
  return {
    streamId: accessStream(subjectId),
    type: 'permission.denied.repeatedly',
    data: { subjectId, denials, last: { action, resourceType, resourceId, reason } },
    tags: [],
  };
}

/** A decision about a subject, and how many of its kind there were since the last one that was told. */
export function accessEvent(
  last: PermissionAuditEntryRow,
  { decisions, sinceMs }: { readonly decisions: number; readonly sinceMs: number | null },
): NewEvent {
  const { subjectId, action, resourceType, resourceId, contextId, decision, reason, grantingRoleId } = last;
  return {
    streamId: accessStream(subjectId),
    type: decision === 'PERMIT' ? 'access.granted' : 'access.denied',
    data: {
      subjectId,
      contextId,
      decisions,
      since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
      last: { action, resourceType, resourceId, decision, reason, grantingRoleId },
    },
    tags: [],
  };
}

const assignmentTypes = [
  'role.assigned',
  'role.revoked',
  'role.assignment.changed',
  'role.delegated',
  'role.delegation.changed',
  'role.delegation.revoked',
];

const requestTypes = ['permission.requested', 'permission.request.*'];

function commonFields(event: Parameters<StreamSubscription['payload']>[0]): Record<string, unknown> {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    type: event.type,
    timestamp: event.createdAt,
    actor: event.actor,
    subjectId: event.data['subjectId'],
  };
}

async function isKnown(sql: Sql, tenantId: string, subjectId: string): Promise<boolean> {
  if (textProblem(subjectId) !== null) return false;
  const found = await sql.unsafe(
    'SELECT 1 FROM role.stream_head WHERE tenant_id = $1 AND stream_id = $2',
    [tenantId, subjectStream(subjectId)],
    { prepare: true },
  );
  return found.length > 0;
}

/** What the streams of a subject have in common: open to itself and to who may read roles. */
function subjectStreamOf(types: readonly string[]) {
  return {
    module: 'role',
    kind: 'stream',
    streamId: (args: Readonly<Record<string, unknown>>) => subjectStream(String(args['subjectId'])),
    types,
    async admit(principal, args, { sql }) {
      const subjectId = String(args['subjectId']);
      if (subjectId !== principal.subject && !(await isKnown(sql, principal.tenantId, subjectId)))
        throw new PlatformError('NOT_FOUND', 'nothing is known of such a subject', { path: ['subjectId'] });
      return { decide: () => 'deliver' };
    },
  } as const satisfies Partial<StreamSubscription>;
}

interface RoleEventData {
  readonly changed?: readonly string[];
  readonly permissions?: readonly { readonly permissionId: string }[];
  readonly capabilities?: readonly string[];
}

interface AccessEventData {
  /** Of a decision; of repeated denials `denials`. */
  readonly decisions?: number;
  readonly denials?: number;
  readonly since?: string | null;
  readonly contextId?: string | null;
  readonly last: Pick<PermissionAuditEntryRow, 'action' | 'resourceType' | 'resourceId' | 'reason'> &
    Partial<Pick<PermissionAuditEntryRow, 'decision' | 'grantingRoleId'>>;
}

const accessKinds: Readonly<Record<string, string>> = {
  'access.granted': 'GRANTED',
  'access.denied': 'DENIED',
  'permission.denied.repeatedly': 'DENIED_REPEATEDLY',
};

/** Fields of `Subscription` that the role module feeds. */
export const roleSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  roleAssignments: {
    ...subjectStreamOf(assignmentTypes),
    payload: ({ data, ...event }) => ({
      ...commonFields({ ...event, data }),
      assignment:
        data['assignment'] === undefined ? null : toAssignmentPayload(data['assignment'] as RoleAssignmentRow),
      delegation:
        data['delegation'] === undefined ? null : toDelegationPayload(data['delegation'] as RoleDelegationRow),
    }),
  },
  permissionChanges: {
    ...subjectStreamOf([...assignmentTypes, ...requestTypes, 'permission.changed', 'subject.updated']),
    payload: (event) => ({
      ...commonFields(event),
      roleId: event.data['roleId'] ?? null,
      contextId: event.data['contextId'] ?? null,
      request:
        event.data['permissionRequest'] === undefined
          ? null
          : toPermissionRequestPayload(event.data['permissionRequest'] as PermissionRequestRow),
    }),
  },
  roleUpdates: {
    module: 'role',
    kind: 'stream',
    streamId: (args) => String(args['roleId']),
    types: ['role.*', 'permission.*', 'capability.*'],
    async admit(principal, args, { sql }) {
      const [role] = isId(args['roleId']) ? await findRoles(sql, principal.tenantId, [args['roleId']]) : [];
      if (!role) throw new PlatformError('NOT_FOUND', 'no such role', { path: ['roleId'] });
      return { decide: () => 'deliver' };
    },
    payload(event) {
      const { subjectId: _none, ...fields } = commonFields(event);
      const { changed = [], permissions = [], capabilities = [] } = event.data as RoleEventData;
      const permissionIds = permissions.map(({ permissionId }) => permissionId);
      const role = event.type === 'role.deleted' ? null : { __typename: 'Role', id: event.streamId };
      return { ...fields, roleId: event.streamId, role, changed, permissionIds, capabilities };
    },
  },
  accessDecisions: {
    module: 'role',
    kind: 'stream',
    streamId: (args) => accessStream(String(args['subjectId'])),
    types: ['access.*', 'permission.denied.repeatedly'],
    // Who was never decided about may be at the next moment: a subject is a name of the issuer's, and none is unknown here.
    async admit(_principal, args) {
      if (textProblem(String(args['subjectId'])) !== null)
        throw new PlatformError('NOT_FOUND', 'no subject is called so', { path: ['subjectId'] });
      return { decide: () => 'deliver' };
    },
    payload(event) {
      const { type, subjectId, ...fields } = commonFields(event);
      const { decisions, denials, since = null, contextId = null, last } = event.data as unknown as AccessEventData;
      const { decision = 'DENY', grantingRoleId = null, ...asked } = last;
      return {
        ...fields,
        ...asked,
        kind: accessKinds[String(type)],
        subjectId,
        subject: { __typename: 'Subject', id: subjectId },
        decisions: decisions ?? denials,
        ...{ since, contextId, decision, grantingRoleId },
        grantingRole: grantingRoleId === null ? null : { __typename: 'Role', id: grantingRoleId },
      };
    },
  },
};
