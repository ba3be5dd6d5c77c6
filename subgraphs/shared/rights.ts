import type { AuthTarget } from './auth.ts';
import type { Attributes } from './conditions/facts.ts';
import { hasScope, type Principal } from './principal.ts';

/** What the authorizer says of one principal without waiting, as of now: what is revoked meanwhile is gone here too. */
export interface Rights {
  holds(permission: string, target?: AuthTarget): boolean;
  /** Contexts in which an answer may be another than elsewhere; each is asked for by itself. */
  contexts(): readonly string[];
}

/** Where a permission holds. */
export interface Places {
  readonly everywhere: boolean;
  /** Contexts in which it is the other way round. */
  readonly except: readonly string[];
}

/**
 * By principal, which lives as long as its token is remembered. Only of those whose token does not decide alone: all
 * others cost one look here.
 */
const given = new WeakMap<Principal, Rights>();

/** Lets rules go by more than the token: the authorizer gives them when the door first asks it about the principal. */
export function giveRights(principal: Principal, rights: () => Rights): void {
  if (!given.has(principal)) given.set(principal, rights());
}

const none: Attributes = Object.freeze({});
const described = new WeakMap<Principal, () => Attributes | undefined>();

/** Lets conditions look at what is recorded of the subject: the authorizer gives it at the door, also where nothing is. */
export function giveAttributes(principal: Principal, describe: () => () => Attributes | undefined): void {
  if (!described.has(principal)) described.set(principal, describe());
}

/**
 * Attributes recorded of the principal's subject, as of now; the same object until they change. Null of one that no door
 * has seen: nobody knows then whether there are any.
 */
export function attributesOf(principal: Principal): Attributes | null {
  const read = described.get(principal);
  return read === undefined ? null : (read() ?? none);
}

/**
 * For rules behind the door that cannot wait: whether the principal has the permission, on the object where one is given.
 * Nothing is audited: a rule asks what somebody is, in order to decide what comes next.
 */
export function holds(principal: Principal, permission: string, target?: AuthTarget): boolean {
  const rights = given.get(principal);
  return rights === undefined ? hasScope(principal, permission) : rights.holds(permission, target);
}

/** The same of an object that its context stands for. */
export function holdsIn(principal: Principal, permission: string, contextId: string): boolean {
  const rights = given.get(principal);
  return rights === undefined
    ? hasScope(principal, permission)
    : rights.holds(permission, { type: 'Context', id: contextId, contextId });
}

/** Where at least one of the permissions holds: for conditions of lists. */
export function placesOf(principal: Principal, permissions: readonly string[]): Places {
  const everywhere = permissions.some((permission) => holds(principal, permission));
  const except = (given.get(principal)?.contexts() ?? []).filter(
    (contextId) => permissions.some((permission) => holdsIn(principal, permission, contextId)) !== everywhere,
  );
  return { everywhere, except };
}

/**
 * Condition that the places take in the context of a column; `true` for all, `false` for none.
 * @param bind answers the placeholder of a uuid[]
 */
export function inPlaces({ everywhere, except }: Places, column: string, bind: (ids: readonly string[]) => string) {
  if (except.length === 0) return everywhere;
  const listed = `${column} = ANY(${bind(except)})`;
  return everywhere ? `NOT (${listed})` : `(${listed})`;
}
