import type { RoleResponse } from '../commands.ts';
import type { RequestContext } from '../context.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';

/** An earlier mutation of the same request may have read what this one has changed. */
function forgetReads({ loaders }: RequestContext): void {
  for (const loader of Object.values(loaders)) loader.clearAll();
}

const warningsOf = ({ warnings }: RoleResponse) => [...((warnings as readonly string[] | undefined) ?? [])];

async function rolePayload(context: RequestContext, pending: Promise<RoleResponse>) {
  const response = await pending;
  forgetReads(context);
  return {
    role: await context.loaders.role.load(String(response['id'])),
    warnings: warningsOf(response),
    userErrors: [],
  };
}

async function assignmentPayload(context: RequestContext, pending: Promise<RoleResponse>) {
  const response = await pending;
  forgetReads(context);
  return {
    assignment: await context.loaders.assignment.load(String(response['id'])),
    existed: response['existed'] === true,
    warnings: warningsOf(response),
    userErrors: [],
  };
}

async function delegationPayload(context: RequestContext, pending: Promise<RoleResponse>) {
  const response = await pending;
  forgetReads(context);
  return { delegation: await context.loaders.delegation.load(String(response['id'])), userErrors: [] };
}

async function requestPayload(context: RequestContext, pending: Promise<RoleResponse>) {
  const response = await pending;
  forgetReads(context);
  return {
    request: await context.loaders.permissionRequest.load(String(response['id'])),
    existed: response['existed'] === true,
    userErrors: [],
  };
}

export const mutations: MutationResolvers = {
  createRole: (_parent, { input }, context) => rolePayload(context, context.service.roles.create(context.scope, input)),
  updateRole: (_parent, { roleId, patch, ...options }, context) =>
    rolePayload(context, context.service.roles.update(context.scope, roleId, patch, options)),
  changeRoleStatus: (_parent, { roleId, ...options }, context) =>
    rolePayload(context, context.service.roles.changeStatus(context.scope, roleId, options)),
  reviewRole: (_parent, { roleId, ...options }, context) =>
    rolePayload(context, context.service.roles.review(context.scope, roleId, options)),
  deleteRole: async (_parent, { roleId, ...options }, { service, scope }) => {
    const { movedAssignments } = await service.roles.remove(scope, roleId, options);
    return { roleId, deleted: true, movedAssignments: Number(movedAssignments ?? 0), userErrors: [] };
  },
  assignRole: (_parent, { input }, context) =>
    assignmentPayload(context, context.service.assignments.assign(context.scope, input)),
  assignRoles: async (_parent, { inputs, idempotencyKey }, context) => {
    const results = await context.service.assignments.assignMany(context.scope, inputs, idempotencyKey);
    forgetReads(context);
    const failed = results.filter(({ error }) => error !== null).length;
    return {
      results: await Promise.all(
        results.map(async ({ id, existed, error }) => ({
          assignment: id === null ? null : await context.loaders.assignment.load(id),
          existed,
          error: error && { ...error, path: error.path && [...error.path] },
        })),
      ),
      assigned: results.length - failed,
      failed,
      userErrors: [],
    };
  },
  revokeRole: (_parent, { assignmentId, ...options }, context) =>
    assignmentPayload(context, context.service.assignments.revoke(context.scope, assignmentId, options)),
  suspendAssignment: (_parent, { assignmentId, ...options }, context) =>
    assignmentPayload(context, context.service.assignments.suspend(context.scope, assignmentId, options)),
  resumeAssignment: (_parent, { assignmentId, ...options }, context) =>
    assignmentPayload(context, context.service.assignments.resume(context.scope, assignmentId, options)),
  activateRole: (_parent, { assignmentId, ...options }, context) =>
    assignmentPayload(context, context.service.activations.activate(context.scope, assignmentId, options)),
  deactivateRole: (_parent, { assignmentId, ...options }, context) =>
    assignmentPayload(context, context.service.activations.deactivate(context.scope, assignmentId, options)),
  delegate: (_parent, { input }, context) =>
    delegationPayload(context, context.service.delegations.delegate(context.scope, input)),
  suspendDelegation: (_parent, { delegationId, ...options }, context) =>
    delegationPayload(context, context.service.delegations.suspend(context.scope, delegationId, options)),
  resumeDelegation: (_parent, { delegationId, ...options }, context) =>
    delegationPayload(context, context.service.delegations.resume(context.scope, delegationId, options)),
  revokeDelegation: (_parent, { delegationId, ...options }, context) =>
    delegationPayload(context, context.service.delegations.revoke(context.scope, delegationId, options)),
  requestPermission: (_parent, { input }, context) =>
    requestPayload(context, context.service.permissionRequests.request(context.scope, input)),
  revokePermissionRequest: (_parent, { requestId, ...options }, context) =>
    requestPayload(context, context.service.permissionRequests.revoke(context.scope, requestId, options)),
  updateSubject: async (_parent, { subjectId, patch, ...options }, context) => {
    await context.service.subjects.update(context.scope, subjectId, patch, options);
    forgetReads(context);
    return { subject: await context.loaders.subject.load(subjectId), userErrors: [] };
  },
};
