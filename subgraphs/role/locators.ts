import { type Locators, locateRows } from '#shared/door.ts';

/** Contexts in which what the module keeps holds; of what holds everywhere there is none. */
export const roleLocators: Locators = {
  RoleAssignment: locateRows('RoleAssignment', 'role.assignment'),
  PermissionRequest: locateRows('PermissionRequest', 'role.permission_request'),
  RoleDelegation: locateRows('RoleDelegation', 'role.delegation'),
};
