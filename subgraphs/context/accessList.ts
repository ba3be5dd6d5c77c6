import { readersOf } from '#shared/contextReaders.ts';
import type {
  ContextAccessAction,
  ContextAccessControl,
  ContextPolicyEnforcement,
  ContextPolicyType,
  ContextPrincipalType,
} from './resolvers.generated.ts';
import type { ContextAccessControlValue } from './rows.ts';

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

/** Keys of whom the list shows the context, also where it is private. */
export function listedReaders({ accessControl }: { readonly accessControl: ContextAccessControlValue }) {
  return readersOf(accessControl.permissions as readonly AccessPermission[]);
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
