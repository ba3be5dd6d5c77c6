import { listedAttributes } from '#shared/contextAudience.ts';
import { type Readers, readersOf } from '#shared/contextReaders.ts';
import type {
  ContextAccessAction,
  ContextAccessControl,
  ContextPolicyEnforcement,
  ContextPolicyType,
  ContextPrincipalType,
} from './resolvers.generated.ts';
import type { ContextAccessControlValue, ContextRow } from './rows.ts';

/** An entry of a context's access list as it is stored. */
export interface AccessPermission {
  readonly principal: string;
  readonly principalType: string;
  readonly resource: string;
  readonly actions: readonly string[];
  readonly conditions?: Readonly<Record<string, unknown>> | null;
}

export interface AccessPolicy {
  readonly type: string;
  readonly enforcement: string;
  readonly rules?: unknown;
}

/** Whom the list shows the context, also where it is private. */
export function listedReaders(row: ContextRow): Readers {
  return readersOf(row.accessControl.permissions as readonly AccessPermission[], {
    id: row.id,
    attributes: listedAttributes(row),
  });
}

/** Whether the list shows somebody the context no longer, or under other conditions. */
export function hidesFrom(before: ContextRow, after: ContextRow): boolean {
  const { readers } = listedReaders(after);
  return listedReaders(before).readers.some((key) => !readers.includes(key));
}

/** Whether other columns than the list may alter whom it shows the context. */
export function hasConditions({ accessControl }: { readonly accessControl: ContextAccessControlValue }): boolean {
  return (accessControl.permissions as readonly AccessPermission[]).some(
    ({ conditions }) => conditions != null && Object.keys(conditions).length > 0,
  );
}

/** Who may what in a context, as the graph shows it. */
export function showAccessControl(stored: ContextAccessControlValue): ContextAccessControl {
  return {
    ...(stored as unknown as Pick<ContextAccessControl, 'visibility' | 'joinPolicy'>),
    requiredCapabilities: [...stored.requiredCapabilities],
    requiredRoles: [...stored.requiredRoles],
    permissions: (stored.permissions as readonly AccessPermission[]).map(
      ({ principal, principalType, resource, actions, conditions = null }) => ({
        principal,
        principalType: principalType.toUpperCase() as ContextPrincipalType,
        resource,
        actions: actions.map((action) => action.toUpperCase() as ContextAccessAction),
        conditions,
      }),
    ),
    policies: (stored.policies as readonly AccessPolicy[]).map(({ type, enforcement, rules = null }) => ({
      type: type.toUpperCase() as ContextPolicyType,
      enforcement: enforcement.toUpperCase() as ContextPolicyEnforcement,
      rules,
    })),
  };
}
