/** What an extension may do, in the structured form; the short form is `resource:action`. */
export interface Permission {
  readonly resource: string;
  readonly actions: readonly string[];
  readonly scope: 'global' | 'context' | 'local';
  /** Expressions that all have to hold at each use. @default none */
  readonly conditions?: readonly string[];
}

export const trustLevels = ['untrusted', 'low', 'medium', 'high', 'verified'] as const;
export type TrustLevelValue = (typeof trustLevels)[number];

export const trustLevelOf = (name: string): number => trustLevels.indexOf(name.toLowerCase() as TrustLevelValue);

/** Concern nothing but the extension's own store and stream: every grantor has them to give. */
const ownPermissions = ['state:read', 'state:write', 'event:emit'] as const;

/** Resources of its own alone. */
export const ownResources: readonly string[] = [...new Set(ownPermissions.map((pair) => pair.split(':')[0]!))];

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

/** A permission under all of some conditions; under none it always holds. */
interface Conditional {
  readonly pair: string;
  readonly conditions: readonly string[];
}

/** Each action of each entry by itself; what one entry allows without conditions the conditions of others do not narrow. */
function conditionals(permissions: readonly Permission[]): readonly Conditional[] {
  const all = permissions.flatMap(({ resource, actions, conditions = [] }) =>
    actions.map((action) => ({ pair: `${resource}:${action}`, conditions: [...new Set(conditions)].sort() })),
  );
  const free = new Set(all.filter(({ conditions }) => conditions.length === 0).map(({ pair }) => pair));
  return all.filter(({ pair, conditions }) => conditions.length === 0 || !free.has(pair));
}

/** One entry for each resource and list of conditions. */
function structured(list: readonly Conditional[]): readonly Permission[] {
  const keyOf = ({ pair, conditions }: Conditional) => JSON.stringify([pair.slice(0, pair.indexOf(':')), conditions]);
  const groups = Map.groupBy(
    [...list].sort((one, other) => (one.pair < other.pair ? -1 : Number(one.pair > other.pair))),
    keyOf,
  );
  return [...groups.values()].map((group) => {
    const [{ pair, conditions }] = group as [Conditional];
    return {
      resource: pair.slice(0, pair.indexOf(':')),
      actions: [...new Set(group.map((one) => one.pair.slice(one.pair.indexOf(':') + 1)))],
      scope: ownPermissions.some((own) => own === pair) ? 'local' : 'context',
      ...(conditions.length > 0 && { conditions }),
    };
  });
}

/** The grant of some of what is requested, each under the conditions of its request, and under further ones of whoever grants it. */
export function granting(
  requested: readonly Permission[],
  pairs: readonly string[],
  further: (pair: string) => readonly string[] = () => [],
): readonly Permission[] {
  return structured(
    conditionals(requested)
      .filter(({ pair }) => pairs.includes(pair))
      .map(({ pair, conditions }) => ({ pair, conditions: [...new Set([...conditions, ...further(pair)])].sort() })),
  );
}

/** A grant with what is given of one permission in place of what was held of it. */
export const replacing = (
  grants: readonly Permission[],
  permission: string,
  given: readonly Permission[],
): readonly Permission[] =>
  structured([...conditionals(grants).filter(({ pair }) => pair !== permission), ...conditionals(given)]);

/** Conditions under which a permission is held beyond those of the request. */
export function furtherConditions(
  grants: readonly Permission[],
  requested: readonly Permission[],
): (pair: string) => readonly string[] {
  const own = conditionals(requested);
  return (pair) => {
    const asked = new Set(own.filter((one) => one.pair === pair).flatMap(({ conditions }) => conditions));
    const held = conditionals(grants).filter((one) => one.pair === pair);
    return [...new Set(held.flatMap(({ conditions }) => conditions))].filter((condition) => !asked.has(condition));
  };
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

/** Permissions that `after` asks for and `before` does not, or only under conditions that `after` leaves out. */
export function widened(before: readonly Permission[], after: readonly Permission[]): readonly string[] {
  const known = conditionals(before);
  const isCovered = ({ pair, conditions }: Conditional) =>
    known.some((one) => one.pair === pair && one.conditions.every((condition) => conditions.includes(condition)));
  return [
    ...new Set(
      conditionals(after)
        .filter((one) => !isCovered(one))
        .map(({ pair }) => pair),
    ),
  ].sort();
}
