const participantScopes = [
  'context:read',
  'context:write',
  'context:create',
  'context:join',
  'dialog:read',
  'dialog:write',
  'dialog:create',
  'dialog:join',
  'plan:read',
  'plan:create',
  'plan:update',
  'plan:delete',
  'plan:execute',
  'plan:schedule',
  'plan:collaborate',
  'plan:adapt',
  'plan:work',
  'platform:read',
  'collab:read',
  'collab:create',
  'collab:write',
  'confirm:read',
  'confirm:create',
  'confirm:approve',
  'role:read',
  'role:delegate',
  'trace:read',
  'trace:write',
];

/** What a role of a token grants while no role module decides. A role that is not listed grants nothing. */
export const roleScopes: ReadonlyMap<string, readonly string[]> = new Map([
  ['admin', ['*']],
  ['system_admin', ['*']],
  ['member', participantScopes],
  ['user', participantScopes],
  ['agent', participantScopes],
  ['moderator', [...participantScopes, 'dialog:moderate', 'dialog:observe']],
  ['viewer', ['*:read']],
]);

export function scopesOfRoles(roles: readonly string[]): string[] {
  return roles.flatMap((role) => roleScopes.get(role) ?? []);
}
