import { z } from 'zod';
import { permissionDenied } from './auth.ts';
import { PlatformError } from './errors.ts';
import type { Principal } from './principal.ts';
import type { ModuleRuntime } from './subgraph.ts';
import { id, parseInput, text } from './validation.ts';

const permission = 'governance:override';
const governanceOverride = z.object({ confirmId: id, reason: text({ max: 2_000 }).nullish() });
const askText = 'query CitedConfirm($id: ID!) { confirm(id: $id) { id status targetType targetId } }';

interface AskedConfirm {
  readonly confirm: { readonly status: string; readonly targetType: string; readonly targetId: string } | null;
}

/** What is locked, as a Confirm names it: OTHER where the protocol has no kind of target for it. */
export interface LockedTarget {
  readonly type: 'TRACE' | 'OTHER';
  readonly id: string;
  /** As messages call it. */
  readonly noun: string;
}

/** An override as it was given, and what speaks against it. */
export interface OverrideClaim {
  readonly override: z.output<typeof governanceOverride>;
  /** Null where it opens the lock. */
  readonly fault: PlatformError | null;
}

export type Governance = Readonly<Record<string, unknown>>;

export const isLocked = (governance: Governance | null): boolean => governance?.['locked'] === true;

/**
 * Reads an override and asks about the right and the Confirm it cites, before the row is locked in the database; only an
 * object that governance has locked makes use of the answer.
 * @throws {VALIDATION_FAILED} when an id is malformed.
 */
export async function readOverride(
  { authorizer, graph }: Pick<ModuleRuntime, 'authorizer' | 'graph'>,
  principal: Principal,
  { target, override: raw }: { readonly target: LockedTarget; readonly override: unknown },
): Promise<OverrideClaim | null> {
  const override = parseInput(governanceOverride.nullish(), raw, ['override']);
  if (!override) return null;
  // Who may not override learns nothing of the Confirm.
  if (!(await authorizer.allows(principal, permission))) return { override, fault: permissionDenied(permission) };
  return { override, fault: await findFault(graph, principal, { target, confirmId: override.confirmId }) };
}

/** Why a Confirm does not open a lock: it has to be approved, with that very object as its target. */
async function findFault(
  graph: ModuleRuntime['graph'],
  principal: Principal,
  { target, confirmId }: { readonly target: LockedTarget; readonly confirmId: string },
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
  if (confirm.targetType !== target.type || confirm.targetId !== target.id)
    return refusal(`the Confirm was given for another object than this ${target.noun}`, confirmId);
  return null;
}

function refusal(message: string, confirmId: string): PlatformError {
  return new PlatformError('CONFIRM_NOT_APPROVED', message, {
    path: ['override', 'confirmId'],
    details: { confirmId },
  });
}

/**
 * What governance remembers of an override that opens its lock; null where nothing is locked.
 * @throws {GOVERNANCE_LOCKED} without an override.
 * @throws {PERMISSION_DENIED} {CONFIRM_NOT_APPROVED} {UNAVAILABLE} with one that does not open the lock.
 */
export function passLock(
  governance: Governance | null,
  claim: OverrideClaim | null,
  { noun, path }: { readonly noun: string; readonly path: readonly string[] },
): Governance | null {
  if (!isLocked(governance)) return null;
  if (claim === null)
    throw new PlatformError('GOVERNANCE_LOCKED', `the ${noun} is locked; cite an approved Confirm to override`, {
      path,
    });
  if (claim.fault !== null) throw claim.fault;
  const { confirmId, reason } = claim.override;
  const lastConfirmRef = { id: confirmId, module: 'confirm', ...(reason ? { description: reason } : {}) };
  return { ...governance, lastConfirmRef };
}
