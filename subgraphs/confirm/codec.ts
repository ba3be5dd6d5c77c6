import { ConcurrentInsert, type ProtocolCodec } from '#shared/codec.ts';
import type { Principal } from '#shared/principal.ts';
import type { ConfirmDocument } from '../../schema/protocol/index.ts';
import { findVerdicts } from './access.ts';
import { chainStart, seal } from './chain/chain.ts';
import { readClock } from './clock.ts';
import { toDocument } from './document.ts';
import { confirmEvent } from './events.ts';
import { openImported } from './imports.ts';
import { observeConfirm } from './observability.ts';
import type { ConfirmDecisionRow, ConfirmRow, DecisionContent, GovernanceValue, PhaseValue } from './rows.ts';
import { findConfirms, findDecisionsOf, insertConfirms, insertDecisions } from './store.ts';

/** Frozen confirms in and out. What is imported pending waits for one decision from then on (`imports.ts`). */
export const confirmCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findConfirms(sql, tenantId, ids);
    // Imports ask about ids that are new.
    if (rows.length === 0) return new Map();
    const decisions = await findDecisionsOf(sql, tenantId, ids);
    const byConfirm = Map.groupBy(decisions, ({ confirmId }) => confirmId);
    return new Map(rows.map((row) => [row.id, toDocument(row, byConfirm.get(row.id) ?? [])]));
  },

  async write(tx, principal, documents) {
    const at = new Date(await readClock(tx)).toISOString();
    const imported = documents.map((document) => toRows(document as unknown as ConfirmDocument, principal, at));
    try {
      await insertConfirms(
        tx,
        imported.map(({ confirm }) => confirm),
      );
      const decisions = imported.flatMap((entry) => entry.decisions);
      const titles = new Map(imported.map(({ confirm }) => [confirm.id, confirm.title]));
      if (decisions.length > 0) await insertDecisions(tx, decisions, ({ confirmId }) => titles.get(confirmId)!);
    } catch (error) {
      // Someone stored one of the ids since the caller looked.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === '23505')
        throw new ConcurrentInsert();
      throw error;
    }
    return imported.map(({ confirm, decisions }) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [
        confirmEvent('confirm.created', confirm, { imported: true }, decisions),
        ...(confirm.status === 'pending' ? [] : [confirmEvent('confirm.resolved', confirm, { imported: true })]),
      ],
      audit: [
        {
          action: 'confirm.import',
          resource: 'Confirm',
          resourceId: confirm.id,
          detail: { decisions: confirm.decisionCount },
        },
      ],
    }));
  },

  /** Those that say so, and those whose target is the context itself; a draft has asked nobody anything. */
  async idsOfContext(sql, tenantId, contextId) {
    const rows = await sql<
      { id: string }[]
    >`SELECT id FROM confirm.confirm WHERE tenant_id = ${tenantId} AND context_id = ${contextId} AND phase <> 'draft' ORDER BY ordinal`;
    return rows.map((row) => row.id);
  },

  async visibleTo(sql, principal, ids) {
    const verdicts = await findVerdicts(sql, principal, ids);
    return new Set(ids.filter((id) => verdicts.get(id) !== true));
  },

  observe: observeConfirm,
};

function toRows(document: ConfirmDocument, { tenantId, subject }: Principal, at: string) {
  let previousHash = chainStart;
  const decisions = (document.decisions ?? []).map((entry, index): ConfirmDecisionRow => {
    const sealed = seal<DecisionContent>({
      tenantId,
      confirmId: document.confirm_id,
      sequence: index + 1,
      id: entry.decision_id,
      stepId: null,
      approver: `role:${entry.decided_by_role}`,
      role: entry.decided_by_role,
      outcome: entry.status,
      vote: null,
      ballot: null,
      rationale: entry.reason ?? null,
      conditions: [],
      delegateTo: null,
      risk: null,
      signature: null,
      protocol: { decidedAt: entry.decided_at },
      decidedAt: instantOf(entry.decided_at) ?? at,
      previousHash,
    });
    previousHash = sealed.hash;
    return sealed;
  });
  const isPending = document.status === 'pending';
  const phase: PhaseValue = isPending ? 'submitted' : 'completed';
  const confirm: ConfirmRow = {
    tenantId,
    id: document.confirm_id,
    contextId: document.trace?.context_id ?? (document.target_type === 'context' ? document.target_id : null),
    planId: document.target_type === 'plan' ? document.target_id : null,
    targetType: document.target_type,
    targetId: document.target_id,
    status: document.status,
    phase,
    confirmationType: null,
    title: `Confirm ${document.confirm_id.slice(0, 8)}`,
    description: null,
    priority: 'normal',
    urgency: 'normal',
    requestedBy: null,
    requestedByRole: document.requested_by_role,
    requestedAt: instantOf(document.requested_at) ?? at,
    reason: document.reason ?? null,
    resolution: isPending ? null : (document.reason ?? null),
    requester: null,
    subject: null,
    riskAssessment: null,
    impact: null,
    attachments: null,
    notifications: null,
    reference: null,
    templateId: null,
    templateVersion: null,
    workflow: null,
    steps: [],
    decisionCount: decisions.length,
    chainHead: previousHash,
    gateKey: null,
    requestEventId: null,
    governance: (document.governance as GovernanceValue | undefined) ?? null,
    protocol: {
      meta: document.meta,
      ...(document.trace === undefined ? {} : { trace: document.trace }),
      ...(document.events === undefined ? {} : { events: document.events }),
      requestedAt: document.requested_at,
      hasDecisions: document.decisions !== undefined,
    },
    result: null,
    conditions: null,
    resubmissionOf: null,
    attempt: 1,
    nextDeadlineAt: null,
    expiresAt: null,
    resolvedAt: isPending ? null : (decisions.at(-1)?.decidedAt ?? at),
    version: 1,
    createdAt: at,
    createdBy: subject,
    updatedAt: at,
    updatedBy: subject,
  };
  return { confirm: isPending ? openImported(confirm) : confirm, decisions };
}

/** An RFC 3339 text as an instant PostgreSQL can hold; leap seconds, which Date does not know, become the second before. */
function instantOf(text: string): string | null {
  const date = new Date(text.replace(/:60(?=[.Zz+-])/, ':59'));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9_999) return null;
  return date.toISOString();
}
