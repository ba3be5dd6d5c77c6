import type { ConfirmDecisionRow, ConfirmRow } from './rows.ts';

const protocolVersion = '1.0.0';
const schemaVersion = '1.0.0';

/** Outcomes that the frozen form knows, as it calls them. */
const statuses: Partial<Record<ConfirmDecisionRow['outcome'], string>> = {
  approved: 'approved',
  // A vote for an option; which one stands in its reason.
  voted: 'approved',
  conditional_approval: 'approved',
  rejected: 'rejected',
  changes_requested: 'rejected',
  cancelled: 'cancelled',
  expired: 'cancelled',
};

/** The frozen MPLP form: snake_case, unset optionals absent, imported date-times to the letter. */
export function toDocument(row: ConfirmRow, decisions: readonly ConfirmDecisionRow[]): Record<string, unknown> {
  const kept = row.protocol ?? {};
  const document: Record<string, unknown> = {
    meta: kept.meta ?? {
      protocol_version: protocolVersion,
      schema_version: schemaVersion,
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    confirm_id: row.id,
    target_type: row.targetType,
    target_id: row.targetId,
    status: row.status,
    requested_by_role: row.requestedByRole,
    requested_at: kept.requestedAt ?? row.requestedAt,
  };
  if (row.governance) document['governance'] = row.governance;
  if (row.reason !== null) document['reason'] = row.reason;
  const shown = decisions.flatMap((decision) => {
    const status = statuses[decision.outcome];
    return status === undefined ? [] : [toDecisionDocument(decision, status)];
  });
  if (kept.hasDecisions === true || shown.length > 0) document['decisions'] = shown;
  if (kept.trace !== undefined) document['trace'] = kept.trace;
  if (kept.events !== undefined) document['events'] = kept.events;
  return document;
}

function toDecisionDocument(decision: ConfirmDecisionRow, status: string): Record<string, unknown> {
  return {
    decision_id: decision.id,
    status,
    decided_by_role: decision.role,
    decided_at: decision.protocol?.['decidedAt'] ?? decision.decidedAt,
    ...reasonOf(decision),
  };
}

function reasonOf({ rationale, ballot }: ConfirmDecisionRow): { readonly reason?: string } {
  const option = ballot?.optionId;
  if (option !== undefined) return { reason: rationale ? `for ${option}: ${rationale}` : `for ${option}` };
  // An empty one that was imported comes back as well.
  return rationale === null ? {} : { reason: rationale };
}
