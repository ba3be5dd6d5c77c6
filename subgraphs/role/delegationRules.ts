import { PlatformError } from '#shared/errors.ts';
import { defaultDecideOptions, type EffectivePermission, listEffectivePermissions } from './decision/index.ts';
import { parsePermissionPattern } from './decision/permission.ts';
import { includesPattern, overlaps } from './decision/permissionSets.ts';
import type { DelegationRulesValue, RoleRow } from './rows.ts';
import type { RoleWork } from './work.ts';

const hourMs = 3_600_000;

/** What holds for roles that say nothing of delegation. */
export const defaultDelegationRules: DelegationRulesValue = { allowed: true, maxDepth: 3, requiresApproval: false };

export interface DelegationDemand {
  readonly permissions: readonly string[];
  readonly contextId: string | null;
  readonly maxDepth: number;
  /** From its start to its end. */
  readonly lifeMs: number;
}

/** What has to happen before the delegation gives anything; null where nothing has to. */
export interface DelegationApproval {
  readonly approverRoles: readonly string[];
}

const refuse = (message: string, path: readonly (string | number)[], details = {}): never => {
  throw new PlatformError('DELEGATION_REFUSED', message, { path, details });
};

/**
 * Each permission has to be held by a role, and to come by a way whose roles let it be delegated so far and so long. Of
 * several ways the one that asks for least counts.
 * @throws {DELEGATION_REFUSED} naming what the roles forbid. @throws {INVALID_PERMISSION}
 */
export async function requireDelegable(work: RoleWork, demand: DelegationDemand): Promise<DelegationApproval | null> {
  const { permissions, contextId } = demand;
  const held = listEffectivePermissions(work.sets(), {
    subjectId: work.principal.subject,
    timeMs: work.timeMs,
    ...(contextId === null ? {} : { contextId }),
  }).filter(({ source, deniedBy }) => source.effect === 'allow' && deniedBy === undefined);
  const approverRoles = new Set<string>();
  let isAsked = false;
  for (const [at, text] of permissions.entries()) {
    const path = ['input', 'permissions', at];
    const covers = findCovers(held, text, path);
    const open = covers.filter((own) => mayPassOn(work, own));
    if (open.length === 0) refuse(`${text} was delegated to you and may not be delegated on so far`, path);
    const judged: { readonly rules: DelegationRulesValue; readonly fault: Fault | null }[] = [];
    for (const own of open) {
      const rules = await rulesOnTheWay(work, own.source.path);
      judged.push({ rules, fault: findFault(rules, demand, own.source.delegationIds.length) });
    }
    const possible = judged.filter(({ fault }) => fault === null).map(({ rules }) => rules);
    const chosen = possible.find(({ requiresApproval }) => !requiresApproval) ?? possible[0];
    const [first] = judged;
    if (chosen === undefined) return refuse(`${text}: ${first!.fault!.message}`, path, first!.fault!.details);
    if (!chosen.requiresApproval) continue;
    isAsked = true;
    for (const role of chosen.approverRoles ?? []) approverRoles.add(role);
  }
  return isAsked ? { approverRoles: [...approverRoles].sort() } : null;
}

/** The rights held that take in all of what is to be delegated. */
function findCovers(
  held: readonly EffectivePermission[],
  text: string,
  path: readonly (string | number)[],
): readonly EffectivePermission[] {
  const pattern = parsePermissionPattern(text);
  if (pattern === undefined)
    throw new PlatformError('INVALID_PERMISSION', `${path.join('.')}: expected resource:action`, { path });
  const covers = held.filter((own) => includesPattern(own, pattern));
  if (covers.length === 0) refuse(`you do not hold ${text} by a role`, path);
  if (overlaps(pattern, { resourceType: 'role', action: 'admin', resourceId: undefined }))
    refuse('the administration of roles is assigned, not delegated', path);
  return covers;
}

/** Whether each delegation that a right comes by reaches one subject further. */
function mayPassOn({ snapshot }: RoleWork, { source }: EffectivePermission): boolean {
  const { delegationIds } = source;
  if (delegationIds.length >= defaultDecideOptions.maxDelegationDepth) return false;
  return delegationIds.every((id, at) => (snapshot.delegations.get(id)?.maxDepth ?? 1) >= at + 2);
}

/** Of the roles from the one assigned up to the one that grants the most restrictive rules together. */
async function rulesOnTheWay(work: RoleWork, roleIds: readonly string[]): Promise<DelegationRulesValue> {
  let joined = defaultDelegationRules;
  for (const roleId of roleIds) {
    const row: RoleRow | undefined = await work.findRole(roleId);
    if (row?.delegationRules != null) joined = join(joined, row.delegationRules);
  }
  return joined;
}

function join(one: DelegationRulesValue, other: DelegationRulesValue): DelegationRulesValue {
  const hours = Math.min(one.maxHours ?? Number.POSITIVE_INFINITY, other.maxHours ?? Number.POSITIVE_INFINITY);
  const approverRoles = [...(one.approverRoles ?? []), ...(other.approverRoles ?? [])];
  return {
    allowed: one.allowed && other.allowed,
    maxDepth: Math.min(one.maxDepth, other.maxDepth),
    requiresApproval: one.requiresApproval || other.requiresApproval,
    ...(Number.isFinite(hours) ? { maxHours: hours } : {}),
    ...(approverRoles.length === 0 ? {} : { approverRoles }),
  };
}

interface Fault {
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

function findFault(
  { allowed, maxDepth, maxHours }: DelegationRulesValue,
  { maxDepth: asked, lifeMs }: DelegationDemand,
  passed: number,
): Fault | null {
  if (!allowed) return { message: 'the role does not let it be delegated', details: { allowed } };
  if (passed + asked > maxDepth)
    return {
      message: `expected a depth of at most ${maxDepth}, got ${passed + asked}`,
      details: { maxDepth, depth: passed + asked },
    };
  if (maxHours !== undefined && lifeMs > maxHours * hourMs)
    return { message: `expected at most ${maxHours} hours, got ${lifeMs / hourMs}`, details: { maxHours } };
  return null;
}
