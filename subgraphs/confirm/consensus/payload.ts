import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow } from '../rows.ts';
import { requireConsensus } from './state.ts';

const statuses = { pending: 'OPEN', approved: 'DECIDED', rejected: 'NO_DECISION', cancelled: 'CANCELLED' } as const;

/** Open, or how it ended; one whose time was over without a winner has decided nothing. */
export function consensusStatus({ status, result }: Pick<ConfirmRow, 'status' | 'result'>) {
  return status === 'cancelled' && result?.outcome === 'no_decision' ? 'NO_DECISION' : statuses[status];
}

export function rulesOf(confirm: ConfirmRow) {
  const consensus = requireConsensus(confirm);
  const { globalTimeoutMs, steps } = confirm.workflow!;
  const { threshold, minimumParticipation, allowAbstention } = steps[0]!.quorum;
  return {
    algorithm: consensus.algorithm.toUpperCase(),
    threshold: threshold ?? null,
    minimumParticipation: minimumParticipation ?? null,
    timeoutMs: globalTimeoutMs,
    allowAbstention: allowAbstention ?? true,
    requireJustification: consensus.requireJustification,
  };
}

export const resultOf = ({ result }: Pick<ConfirmRow, 'result'>) =>
  result && { optionId: result.optionId, reason: result.reason };

export function participantOf({ subject, weight, vote, decidedAt }: ConfirmApproverRow) {
  return { subject, votingWeight: weight, hasVoted: vote !== null, votedAt: decidedAt };
}

/** A decision as the vote it is; null for what is none. */
export function voteOf({ approver, ballot, vote, rationale, decidedAt, sequence, hash }: ConfirmDecisionRow) {
  if (vote === null) return null;
  const scores = Object.entries(ballot?.optionScores ?? {}).flatMap(([optionId, byCriterion]) =>
    Object.entries(byCriterion).map(([criterionId, score]) => ({ optionId, criterionId, score })),
  );
  return {
    participant: approver,
    optionId: ballot?.optionId ?? null,
    scores,
    justification: rationale,
    votedAt: decidedAt,
    sequence,
    hash,
  };
}
