import { z } from 'zod';
import { permissionDenied } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import { requireId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import type { RoleRow } from './rows.ts';

const permission = 'governance:override';
const governanceOverride = z.object({ confirmId: id, reason: text({ max: 2_000 }).nullish() });
const askText = 'query CitedConfirm($id: ID!) { confirm(id: $id) { id status targetType targetId } }';

interface AskedConfirm {
  readonly confirm: { readonly status: string; readonly targetType: string; readonly targetId: string } | null;
}

/** An override as it was given, and what speaks against it. */
export interface OverrideClaim {
  readonly override: z.output<typeof governanceOverride>;
  /** Null where it opens the lock. */
  readonly fault: PlatformError | null;
}

/**
 * Reads an override and asks about the right and the Confirm it cites, before the tenant is locked; only a locked role
 * makes use of the answer.
 * @throws {VALIDATION_FAILED} when an id is malformed.
 */
export async function readOverride(
  { authorizer, graph }: Pick<ModuleRuntime, 'authorizer' | 'graph'>,
  principal: Principal,
  { roleId, override: raw }: { readonly roleId: string; readonly override: unknown },
): Promise<OverrideClaim | null> {
  const override = parseInput(governanceOverride.nullish(), raw, ['override']);
  if (!override) return null;
  requireId(roleId, ['roleId']);
  // Who may not override learns nothing of the Confirm.
  if (!(await authorizer.allows(principal, permission))) return { override, fault: permissionDenied(permission) };
  return { override, fault: await findFault(graph, principal, { roleId, confirmId: override.confirmId }) };
}

/** Why a Confirm does not open a role's lock: it has to be approved, with that very role as its target. */
async function findFault(
  graph: ModuleRuntime['graph'],
  principal: Principal,
  { roleId, confirmId }: { readonly roleId: string; readonly confirmId: string },
): Promise<PlatformError | null> {
  const { data, errors } = await graph.execute<AskedConfirm>(askText, { id: confirmId }, principal);
  const confirm = data?.confirm;
  if (!confirm) {
    const failure = errors.find(({ code }) => code !== 'NOT_FOUND');
    if (failure?.code === 'PERMISSION_DENIED') return new PlatformError('PERMISSION_DENIED', failure.message);
    if (failure)
      return new PlatformError('UNAVAILABLE', `the Confirm cited could not be asked for: ${failure.message}`);
    return refusal('there is no such Confirm', confirmId);
  }
  if (confirm.status !== 'APPROVED')
    return refusal(`expected an approved Confirm, this one is ${confirm.status}`, confirmId);
  // The protocol has no role among the kinds of targets.
  if (confirm.targetType !== 'OTHER' || confirm.targetId !== roleId)
    return refusal('the Confirm was given for another object than this role', confirmId);
  return null;
}

function refusal(message: string, confirmId: string): PlatformError {
  return new PlatformError('CONFIRM_NOT_APPROVED', message, {
    path: ['override', 'confirmId'],
    details: { confirmId },
  });
}

/**
 * The role as a change finds it: one that is locked passes with an override that opens it, which its governance remembers.
 * @throws {SYSTEM_ROLE_IMMUTABLE} @throws {GOVERNANCE_LOCKED} without an override.
 * @throws {PERMISSION_DENIED} {CONFIRM_NOT_APPROVED} {UNAVAILABLE} with one that does not open the lock.
 */
export function requireChangeable(row: RoleRow, claim: OverrideClaim | null): RoleRow {
  if (row.roleType === 'system') throw new PlatformError('SYSTEM_ROLE_IMMUTABLE', 'roles of the system never change');
  if (row.governance?.['locked'] !== true) return row;
  if (claim === null)
    throw new PlatformError('GOVERNANCE_LOCKED', 'the role is locked; cite an approved Confirm to override', {
      path: ['override'],
    });
  if (claim.fault !== null) throw claim.fault;
  const { confirmId, reason } = claim.override;
  const lastConfirmRef = { id: confirmId, module: 'confirm', ...(reason ? { description: reason } : {}) };
  return { ...row, governance: { ...row.governance, lastConfirmRef } };
}
