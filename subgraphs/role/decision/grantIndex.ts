import { type Bits, isEmptyBits, noBits, withBit, withoutBit } from '../hierarchy/bits.ts';
import { type CompiledRole, grantKey, indexedActions } from './compiledRole.ts';

/** Which roles have permissions under one resource type and action. */
export interface IndexEntry {
  readonly key: string;
  readonly allow: Bits;
  readonly deny: Bits;
}

/** By resource type, then by action; `*` is a type and an action of its own. Immutable. */
export type GrantIndex = ReadonlyMap<string, ReadonlyMap<string, IndexEntry>>;

export const emptyGrantIndex: GrantIndex = new Map();

/** The entries that may bear on a request: exact, any action, any type, both. */
export function findEntries(index: GrantIndex, resourceType: string, action: string): IndexEntry[] {
  const found: IndexEntry[] = [];
  addEntries(found, index.get(resourceType), action);
  if (resourceType !== '*') addEntries(found, index.get('*'), action);
  return found;
}

function addEntries(found: IndexEntry[], byAction: ReadonlyMap<string, IndexEntry> | undefined, action: string): void {
  if (byAction === undefined) return;
  const exact = byAction.get(action);
  if (exact !== undefined) found.push(exact);
  const any = action === '*' ? undefined : byAction.get('*');
  if (any !== undefined) found.push(any);
}

/** Puts the grants of a role, at its index in the graph, in the place of those it had. */
export function reindexRole(
  index: GrantIndex,
  roleIndex: number,
  before: CompiledRole | undefined,
  after: CompiledRole | undefined,
): GrantIndex {
  const old = listKeys(before);
  const fresh = listKeys(after);
  const next = new Map(index);
  const owned = new Map<string, Map<string, IndexEntry>>();
  for (const [key, { resourceType, action }] of [...old, ...fresh]) {
    const entry = next.get(resourceType)?.get(action) ?? { key, allow: noBits, deny: noBits };
    const allow = place(entry.allow, roleIndex, fresh.get(key)?.allow ?? false);
    const deny = place(entry.deny, roleIndex, fresh.get(key)?.deny ?? false);
    if (allow === entry.allow && deny === entry.deny) continue;
    const byAction = owned.get(resourceType) ?? new Map(next.get(resourceType));
    owned.set(resourceType, byAction);
    if (isEmptyBits(allow) && isEmptyBits(deny)) byAction.delete(action);
    else byAction.set(action, { key, allow, deny });
    if (byAction.size === 0) next.delete(resourceType);
    else next.set(resourceType, byAction);
  }
  return owned.size === 0 ? index : next;
}

/** The index of many roles at once, by their indexes in the graph. */
export function buildGrantIndex(roles: readonly (CompiledRole | undefined)[]): GrantIndex {
  const words = Math.ceil(roles.length / 32);
  const index = new Map<string, Map<string, IndexEntry>>();
  for (const [roleIndex, role] of roles.entries()) {
    for (const [key, { resourceType, action, allow, deny }] of listKeys(role)) {
      const byAction = index.get(resourceType) ?? new Map<string, IndexEntry>();
      index.set(resourceType, byAction);
      const entry = byAction.get(action) ?? { key, allow: new Uint32Array(words), deny: new Uint32Array(words) };
      byAction.set(action, entry);
      if (allow) entry.allow[roleIndex >>> 5]! |= 1 << (roleIndex & 31);
      if (deny) entry.deny[roleIndex >>> 5]! |= 1 << (roleIndex & 31);
    }
  }
  return index;
}

function place(bits: Bits, index: number, isIn: boolean): Bits {
  return isIn ? withBit(bits, index) : withoutBit(bits, index);
}

interface KeyUse {
  readonly resourceType: string;
  readonly action: string;
  allow: boolean;
  deny: boolean;
}

function listKeys(role: CompiledRole | undefined): Map<string, KeyUse> {
  const keys = new Map<string, KeyUse>();
  for (const { permission } of role?.grants ?? []) {
    const { resourceType } = permission;
    for (const action of indexedActions(permission)) {
      const key = grantKey(resourceType, action);
      const use = keys.get(key) ?? { resourceType, action, allow: false, deny: false };
      use[permission.effect] = true;
      keys.set(key, use);
    }
  }
  return keys;
}
