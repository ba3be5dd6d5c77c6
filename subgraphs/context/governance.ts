import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import type { Prisma } from '../../prisma/generated/client.ts';
import { findCitationFault } from './confirms.ts';
import { toDocument } from './document.ts';
import { contextEvent } from './events.ts';
import type { ContextRow, GovernanceValue } from './rows.ts';
import { nowText } from './rules.ts';

const permission = 'governance:override';

export const governanceOverride = z.object({ confirmId: id, reason: text({ max: 2_000 }).nullish() });

export type GovernanceOverride = z.output<typeof governanceOverride>;

/** An override as it was given, and whether the authorisation interface lets the caller use it. */
export interface OverrideClaim {
  readonly override: GovernanceOverride;
  readonly granted: boolean;
  /** Why the Confirm cited does not open the lock; null when it does. */
  readonly fault: PlatformError | null;
}

/**
 * Reads an override and asks about the right and the Confirm it cites, before any row is locked; only a locked context
 * makes use of the answer.
 * @throws {VALIDATION_FAILED} when an id is malformed.
 */
export async function readOverride(
  runtime: Pick<ModuleRuntime, 'authorizer' | 'sql' | 'graph'>,
  principal: Principal,
  contextId: string,
  raw: unknown,
): Promise<OverrideClaim | null> {
  requireId(contextId, ['contextId']);
  const override = parseInput(governanceOverride.nullish(), raw, ['override']);
  if (!override) return null;
  const confirm = { type: 'Confirm', id: override.confirmId, contextId };
  const granted = await runtime.authorizer.allows(principal, permission, confirm);
  // Who may not override learns nothing of the Confirm.
  const fault = granted
    ? await findCitationFault(runtime, principal, { confirmId: override.confirmId, contextId })
    : null;
  return { override, granted, fault };
}

/**
 * Lets a write to an unlocked context pass. To a locked one it passes with a granted override, and the answer is what
 * the governance has to remember of it.
 * @throws {GOVERNANCE_LOCKED} without an override. @throws {PERMISSION_DENIED} with one that is not granted.
 * @throws {CONFIRM_NOT_APPROVED} with one that cites what is not an approved Confirm of this context.
 */
export function requireUnlocked(
  row: ContextRow,
  claim: OverrideClaim | null,
): Pick<GovernanceValue, 'lastConfirmRef'> | null {
  if (row.governance?.locked !== true) return null;
  if (!claim)
    throw new PlatformError('GOVERNANCE_LOCKED', 'the context is locked; cite an approved Confirm to override', {
      path: ['override'],
    });
  if (!claim.granted)
    throw new PlatformError('PERMISSION_DENIED', `this needs the permission ${permission}`, {
      details: { permission },
    });
  if (claim.fault) throw claim.fault;
  return {
    lastConfirmRef: {
      id: claim.override.confirmId,
      module: 'confirm',
      ...(claim.override.reason ? { description: claim.override.reason } : {}),
    },
  };
}

/** After a change of ours the imported `updated_at` would lie. */
export function withoutStaleDates(protocol: ContextRow['protocol']): ContextRow['protocol'] {
  return protocol?.updatedAt === undefined ? protocol : { ...protocol, updatedAt: nowText() };
}

/** A version of a context that differs by the Confirm it cites: what an override below it leaves. */
export interface Citation {
  readonly before: ContextRow;
  readonly row: ContextRow;
  readonly event: NewEvent;
}

/** Notes the Confirm under which something below a locked context was changed. */
export function citeConfirm(
  before: ContextRow,
  reference: Pick<GovernanceValue, 'lastConfirmRef'>,
  principal: Principal,
): Citation {
  const at = nowText();
  const row: ContextRow = {
    ...before,
    governance: { ...before.governance, ...reference },
    protocol: withoutStaleDates(before.protocol),
    version: before.version + 1,
    updatedAt: at,
    updatedBy: principal.subject,
    lastActivityAt: at,
  };
  return { before, row, event: contextEvent('context.updated', row, { governance: row.governance }) };
}

const storeText = `
WITH given AS (
  SELECT * FROM json_to_recordset($1::text::json) AS g(tenant_id text, id uuid, governance jsonb, protocol jsonb, version int, updated_at timestamptz, updated_by text,
    last boolean, before_version int, document jsonb, changed_at timestamptz, changed_by text)
), kept AS (
  INSERT INTO context.context_version (tenant_id, context_id, version, document, changed, changed_at, changed_by)
  SELECT tenant_id, id, before_version, document, ARRAY['governance'], changed_at, changed_by FROM given ON CONFLICT DO NOTHING
)
UPDATE context.context c SET governance = g.governance, protocol = g.protocol, version = g.version, updated_at = g.updated_at, updated_by = g.updated_by,
  last_activity_at = GREATEST(c.last_activity_at, g.updated_at)
FROM given g WHERE g.last AND c.tenant_id = g.tenant_id AND c.id = g.id RETURNING c.id`;

/** Stores citations, each with the version it replaces; several of one context stand in their order. */
export async function storeCitations(
  tx: Pick<SqlTransaction, 'unsafe'> | Prisma.TransactionClient,
  citations: readonly Citation[],
): Promise<void> {
  if (citations.length === 0) return;
  const last = new Map(citations.map((citation) => [`${citation.row.tenantId}/${citation.row.id}`, citation]));
  const kept = new Set(last.values());
  const records = JSON.stringify(
    citations.map((citation) => {
      const { before, row } = citation;
      return {
        tenant_id: row.tenantId,
        id: row.id,
        governance: row.governance,
        protocol: row.protocol,
        version: row.version,
        updated_at: row.updatedAt,
        updated_by: row.updatedBy,
        last: kept.has(citation),
        before_version: before.version,
        document: toDocument(before),
        changed_at: before.updatedAt,
        changed_by: before.updatedBy,
      };
    }),
  );
  if ('unsafe' in tx) await tx.unsafe(storeText, [records], { prepare: true });
  else await tx.$queryRawUnsafe(storeText, records);
}
