import type { Platform } from '../../support/platform.ts';
import type { Actor } from './seed.ts';

type Json = Record<string, unknown>;
type Run = (field: string, document: string, variables: Json, token?: string) => Promise<Json>;

export interface RoleSeedOptions {
  readonly platform: Platform;
  readonly actor: Actor;
  readonly run: Run;
  readonly idOf: (payload: Json, name: string) => string;
  readonly say: (name: string) => string;
  readonly contextId: string;
  readonly serial: number;
}

const errors = 'userErrors { code message path }';

/** Roles, an assignment, a delegation, a request for an approval and a subject of which something is recorded. Subjects are UUIDs here, as other ids are. */
export async function seedRole({
  platform,
  actor,
  run,
  idOf,
  say,
  contextId,
  serial,
}: RoleSeedOptions): Promise<Record<string, string>> {
  const [subjectId, delegateId] = [crypto.randomUUID(), crypto.randomUUID()];
  const createRole = async (input: Json) =>
    idOf(
      await run(
        'createRole',
        `mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } ${errors} } }`,
        { input },
      ),
      'role',
    );
  const parentId = await createRole({
    name: `walk_base_${serial}`,
    description: say('base role'),
    permissions: [
      { resourceType: 'plan', actions: ['read'] },
      { resourceType: 'plan', actions: ['publish'], approvalRequired: { approverRoles: ['walkers'] } },
    ],
  });
  const roleId = await createRole({
    name: `walk_role_${serial}`,
    displayName: say('role'),
    description: say('role described'),
    parents: [{ roleId: parentId }],
    attributes: { custom: { note: say('role attribute') } },
  });
  const unusedRoleId = await createRole({
    name: `walk_unused_${serial}`,
    description: say('unused role'),
    capabilityProfiles: [{ name: 'walk skill', level: 'EXPERT' }],
  });
  await run(
    'updateSubject',
    `mutation ($id: String!, $patch: SubjectPatch!) { updateSubject(subjectId: $id, patch: $patch) { ${errors} } }`,
    {
      id: subjectId,
      patch: { displayName: say('subject'), capabilities: [{ name: 'walk skill', level: 'EXPERT' }] },
    },
  );
  const assignmentId = idOf(
    await run(
      'assignRole',
      `mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } ${errors} } }`,
      { input: { roleId, subjectId, contextId, reason: say('assignment') } },
    ),
    'assignment',
  );
  await run(
    'assignRole',
    `mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } ${errors} } }`,
    { input: { roleId: parentId, subjectId } },
  );
  const token = await platform.token({ tenant: actor.tenant, subject: subjectId, roles: ['member'] });
  const delegationId = idOf(
    await run(
      'delegate',
      `mutation ($input: DelegateInput!) { delegate(input: $input) { delegation { id } ${errors} } }`,
      {
        input: {
          delegateId,
          permissions: ['plan:read'],
          contextId,
          endsAt: new Date(Date.now() + 86_400_000).toISOString(),
          reason: say('delegation'),
        },
      },
      token,
    ),
    'delegation',
  );
  const requestId = idOf(
    await run(
      'requestPermission',
      `mutation ($input: RequestPermissionInput!) { requestPermission(input: $input) { request { id } ${errors} } }`,
      { input: { action: 'publish', resource: { type: 'plan' }, contextId, reason: say('request') } },
      token,
    ),
    'request',
  );
  return {
    roleId,
    parentId,
    unusedRoleId,
    subjectId,
    delegateId,
    assignmentId,
    delegationId,
    permissionRequestId: requestId,
    requestId,
  };
}
