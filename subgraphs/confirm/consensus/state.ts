import { countOptions, type OptionBallot, type OptionTally } from '../quorum/index.ts';
import type { BallotValue, ConfirmApproverRow, ConfirmRow } from '../rows.ts';
import type { ConsensusDefinition } from '../workflow/index.ts';

/** The one step of a vote over options. */
export const voteStep = 'vote';

export const consensusOf = (confirm: Pick<ConfirmRow, 'workflow'>): ConsensusDefinition | null =>
  confirm.workflow?.consensus ?? null;

/** @throws {Error} where the confirm is no vote over options. */
export function requireConsensus(confirm: ConfirmRow): ConsensusDefinition {
  const consensus = consensusOf(confirm);
  if (consensus === null) throw new Error(`${confirm.id} is no vote over options`);
  return consensus;
}

export const ballotsOf = (approvers: readonly ConfirmApproverRow[]): readonly OptionBallot[] =>
  approvers.map(({ vote, ballot, weight }) => ({
    choice: vote === null ? null : ballot?.optionId === undefined ? 'abstain' : { optionId: ballot.optionId },
    weight,
  }));

export interface StandingRow {
  readonly optionId: string;
  readonly votes: number;
  readonly weight: number;
  readonly share: number;
  /** Mean over those who scored it, by their weights, of the sum of criterion weight x score; null without criteria. */
  readonly score: number | null;
}

export interface ConsensusStanding extends Omit<OptionTally, 'standings'> {
  readonly standings: readonly StandingRow[];
}

/** How the votes stand. */
export function standingOf(confirm: ConfirmRow, approvers: readonly ConfirmApproverRow[]): ConsensusStanding {
  const consensus = requireConsensus(confirm);
  const rule = confirm.workflow!.steps[0]!.quorum;
  const ids = consensus.options.map(({ id }) => id);
  const tally = countOptions(rule, ids, ballotsOf(approvers));
  return {
    ...tally,
    standings: tally.standings.map((standing) => ({
      ...standing,
      score: meanScore(consensus, approvers, standing.optionId),
    })),
  };
}

/** What an option is worth by a ballot: the sum of criterion weight x score, 0 to 1. */
export function worthOf(
  { criteria }: Pick<ConsensusDefinition, 'criteria'>,
  optionScores: NonNullable<BallotValue['optionScores']>,
  optionId: string,
): number {
  const weights = criteria.reduce((sum, { weight }) => sum + weight, 0);
  return criteria.reduce((sum, { id, weight }) => sum + weight * (optionScores[optionId]?.[id] ?? 0), 0) / weights;
}

function meanScore(
  consensus: ConsensusDefinition,
  approvers: readonly ConfirmApproverRow[],
  optionId: string,
): number | null {
  let sum = 0;
  let weights = 0;
  for (const { ballot, weight } of approvers) {
    if (ballot?.optionScores === undefined) continue;
    sum += weight * worthOf(consensus, ballot.optionScores, optionId);
    weights += weight;
  }
  return weights === 0 ? null : sum / weights;
}
