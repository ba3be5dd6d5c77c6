import { z } from 'zod';
import { permissionDenied } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import type { TraceRow } from './rows.ts';
import { traceColumns } from './store/traces.ts';

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

export const isLocked = ({ governance }: Pick<TraceRow, 'governance'>): boolean => governance?.['locked'] === true;

/**
 * Reads an override and asks about the right and the Confirm it cites, before the trace is locked in the database; only one
 * that governance has locked makes use of the answer.
 * @throws {VALIDATION_FAILED} when an id is malformed.
 */
export async function readOverride(
  { authorizer, graph }: Pick<ModuleRuntime, 'authorizer' | 'graph'>,
  principal: Principal,
  { traceId, override: raw }: { readonly traceId: string; readonly override: unknown },
): Promise<OverrideClaim | null> {
  const override = parseInput(governanceOverride.nullish(), raw, ['override']);
  if (!override) return null;
  // Who may not override learns nothing of the Confirm.
  if (!(await authorizer.allows(principal, permission))) return { override, fault: permissionDenied(permission) };
  return { override, fault: await findFault(graph, principal, { traceId, confirmId: override.confirmId }) };
}

/** Why a Confirm does not open a trace's lock: it has to be approved, with that very trace as its target. */
async function findFault(
  graph: ModuleRuntime['graph'],
  principal: Principal,
  { traceId, confirmId }: { readonly traceId: string; readonly confirmId: string },
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
  if (confirm.targetType !== 'TRACE' || confirm.targetId !== traceId)
    return refusal('the Confirm was given for another object than this trace', confirmId);
  return null;
}

function refusal(message: string, confirmId: string): PlatformError {
  return new PlatformError('CONFIRM_NOT_APPROVED', message, {
    path: ['override', 'confirmId'],
    details: { confirmId },
  });
}

/** @throws {GOVERNANCE_LOCKED} A locked trace takes nothing; what it takes an override for says so itself. */
export function requireUnlocked(trace: TraceRow): void {
  if (isLocked(trace))
    throw new PlatformError('GOVERNANCE_LOCKED', 'the trace is locked; only an override changes it', {
      path: ['traceId'],
    });
}

/**
 * Lets a change of a locked trace pass with an override that opens it, which its governance remembers.
 * @throws {GOVERNANCE_LOCKED} without one. @throws {PERMISSION_DENIED} {CONFIRM_NOT_APPROVED} {UNAVAILABLE} with one that
 * does not open the lock.
 */
export async function openLock(tx: SqlTransaction, trace: TraceRow, claim: OverrideClaim | null): Promise<TraceRow> {
  if (!isLocked(trace)) return trace;
  if (claim === null) {
    requireUnlocked(trace);
    return trace;
  }
  if (claim.fault !== null) throw claim.fault;
  const { confirmId, reason } = claim.override;
  const lastConfirmRef = { id: confirmId, module: 'confirm', ...(reason ? { description: reason } : {}) };
  const [row] = (await tx.unsafe(
    `UPDATE trace.trace SET governance = $3::text::jsonb WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
    [trace.tenantId, trace.id, JSON.stringify({ ...trace.governance, lastConfirmRef })],
  )) as unknown as TraceRow[];
  return row!;
}
