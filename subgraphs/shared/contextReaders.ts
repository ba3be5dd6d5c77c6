import type { Principal } from './principal.ts';

/** An entry of a context's access list, as it is stored or as the graph shows it. */
export interface ListedPermission {
  readonly principal: string;
  /** `user`, `agent`, `role` or `group`, in whichever case. */
  readonly principalType: string;
  readonly resource: string;
  readonly actions: readonly string[];
  readonly conditions?: Readonly<Record<string, unknown>> | null | undefined;
}

const subjectKey = (subject: string) => `subject:${subject}`;
const roleKey = (role: string) => `role:${role}`;

/**
 * Whom an access list shows its context, as keys (`subject:...`, `role:...`), sorted: those of entries on `context` or `*`,
 * whatever they may do there. Entries with conditions show it to nobody: sight is decided in SQL, over many contexts at once.
 */
export function readersOf(permissions: readonly ListedPermission[] | null | undefined): readonly string[] {
  const keys = new Set<string>();
  for (const { principal, principalType, resource, actions, conditions } of permissions ?? []) {
    const type = principalType.toLowerCase();
    if ((resource !== 'context' && resource !== '*') || actions.length === 0 || type === 'group') continue;
    if (conditions && Object.keys(conditions).length > 0) continue;
    keys.add(type === 'role' ? roleKey(principal) : subjectKey(principal));
  }
  return [...keys].sort();
}

/** The keys a principal reads by: its own and those of the roles in its token. */
export function readerKeys({ subject, roles }: Pick<Principal, 'subject' | 'roles'>): readonly string[] {
  return [subjectKey(subject), ...roles.map(roleKey)];
}

/** Whether one of the keys is the principal's. */
export function isReader(readers: readonly string[], principal: Pick<Principal, 'subject' | 'roles'>): boolean {
  return readers.length > 0 && readerKeys(principal).some((key) => readers.includes(key));
}
