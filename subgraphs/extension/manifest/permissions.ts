/** What an extension may do, in the structured form; the short form is `resource:action`. */
export interface Permission {
  readonly resource: string;
  readonly actions: readonly string[];
  readonly scope: 'global' | 'context' | 'local';
}

export const trustLevels = ['untrusted', 'low', 'medium', 'high', 'verified'] as const;
export type TrustLevelValue = (typeof trustLevels)[number];

export const trustLevelOf = (name: string): number => trustLevels.indexOf(name.toLowerCase() as TrustLevelValue);

/** Concern nothing but the extension's own store and stream: every grantor has them to give. */
const ownPermissions = ['state:read', 'state:write', 'event:emit'] as const;

/** Least trust in the publisher with which a permission is granted. What is not listed is never granted: the network. */
const policy: Readonly<Record<string, TrustLevelValue>> = {
  'state:read': 'untrusted',
  'state:write': 'untrusted',
  'event:emit': 'low',
  'context:read': 'low',
  'plan:read': 'medium',
  'dialog:read': 'medium',
  'role:read': 'medium',
  'confirm:read': 'medium',
  'trace:read': 'medium',
  'extension:read': 'medium',
};

const shortForm = /^[a-z][a-z_]*:[a-z][a-z_]*$/;

export const isShortForm = (text: string): boolean => shortForm.test(text);

/** `resource:action` pairs, sorted, each once. */
export function flatten(permissions: readonly Permission[]): readonly string[] {
  return [
    ...new Set(permissions.flatMap(({ resource, actions }) => actions.map((action) => `${resource}:${action}`))),
  ].sort();
}

/** The structured form of pairs, one entry a resource. */
export function structured(pairs: readonly string[]): readonly Permission[] {
  const byResource = Map.groupBy([...new Set(pairs)].sort(), (pair) => pair.slice(0, pair.indexOf(':')));
  return [...byResource].map(([resource, list]) => ({
    resource,
    actions: list.map((pair) => pair.slice(pair.indexOf(':') + 1)),
    scope: ownPermissions.some((own) => own === list[0]) ? 'local' : 'context',
  }));
}

export interface GrantQuestion {
  readonly requested: readonly string[];
  readonly trustLevel: number;
  /** Whether the grantor has a permission itself, where the extension lies. */
  readonly holds: (permission: string) => boolean | Promise<boolean>;
}

export type Refusal = 'not requested' | 'trust' | 'not held';

/** Why a permission is not granted; null when it is: requested, within the trust, and the grantor's own to give. */
export async function refusalOf(permission: string, question: GrantQuestion): Promise<Refusal | null> {
  if (!question.requested.includes(permission)) return 'not requested';
  const least = policy[permission];
  if (least === undefined || trustLevels.indexOf(least) > question.trustLevel) return 'trust';
  if (ownPermissions.some((own) => own === permission)) return null;
  return (await question.holds(permission)) ? null : 'not held';
}

/** requested ∩ policy of the trust level ∩ the grantor's own rights. */
export async function grantOf(question: GrantQuestion): Promise<readonly string[]> {
  const refusals = await Promise.all(question.requested.map((permission) => refusalOf(permission, question)));
  return question.requested.filter((_, at) => refusals[at] === null);
}

/** Permissions that `after` has and `before` has not. */
export const added = (before: readonly string[], after: readonly string[]): readonly string[] =>
  after.filter((permission) => !before.includes(permission));
