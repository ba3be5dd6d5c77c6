import type { Ballot, QuorumRule } from './quorum.ts';

/** One thing that approvers judge. */
export interface Criterion {
  /** Unique in its step. */
  readonly id: string;
  readonly name: string;
  /** Over 0 to 1; the weights of a step count by their share of the sum. */
  readonly weight: number;
  /** Nothing is approved while the mean score on it is below its minimum. */
  readonly required: boolean;
  /** 0 to 1. @default the threshold */
  readonly minimum?: number;
}

/** 0 to 1 by criterion. */
export type Scores = Readonly<Record<string, number>>;

export interface CriterionStanding {
  readonly criterionId: string;
  /** Mean of those that do not abstain, by their weights, 0 to 1; null while nobody has scored. */
  readonly score: number | null;
  readonly isMet: boolean;
}

export interface CriteriaStanding {
  /** Sum of criterion weight x score, 0 to 1. */
  readonly score: number;
  readonly criteria: readonly CriterionStanding[];
}

/** What those who are silent may come to: nothing, zeros in everything, or full scores. */
type Rest = 'silent' | 'worst' | 'best';

const tolerance = 1e-9;
export const defaultCriteriaThreshold = 0.67;
export const defaultCriteriaParticipation = 0.8;

/** A rejection scores nothing, an abstention is left out, an approval is what it says. */
function scoreOf({ vote, scores }: Ballot, criterionId: string, rest: Rest): number | null {
  if (vote === 'abstain') return null;
  if (vote === 'approve') return scores?.[criterionId] ?? 1;
  if (vote === 'reject') return 0;
  return rest === 'silent' ? null : Number(rest === 'best');
}

function meanOf(ballots: readonly Ballot[], criterionId: string, rest: Rest): number | null {
  let sum = 0;
  let weights = 0;
  for (const ballot of ballots) {
    const score = scoreOf(ballot, criterionId, rest);
    if (score === null) continue;
    sum += ballot.weight * score;
    weights += ballot.weight;
  }
  return weights === 0 ? null : sum / weights;
}

function standingOf(rule: QuorumRule, ballots: readonly Ballot[], rest: Rest): CriteriaStanding {
  const criteria = rule.criteria ?? [];
  const threshold = rule.threshold ?? defaultCriteriaThreshold;
  const standings = criteria.map(({ id, required, minimum }): CriterionStanding => {
    const score = meanOf(ballots, id, rest);
    return {
      criterionId: id,
      score,
      isMet: !required || (score !== null && score + tolerance >= (minimum ?? threshold)),
    };
  });
  const weights = criteria.reduce((sum, { weight }) => sum + weight, 0);
  const score = criteria.reduce((sum, { weight }, index) => sum + weight * (standings[index]!.score ?? 0), 0) / weights;
  return { score, criteria: standings };
}

function meets(rule: QuorumRule, ballots: readonly Ballot[], rest: Rest): boolean {
  const { score, criteria } = standingOf(rule, ballots, rest);
  const all = ballots.reduce((sum, { weight }) => sum + weight, 0);
  const decided = ballots.reduce((sum, { vote, weight }) => sum + (vote !== null || rest !== 'silent' ? weight : 0), 0);
  return (
    score + tolerance >= (rule.threshold ?? defaultCriteriaThreshold) &&
    criteria.every(({ isMet }) => isMet) &&
    decided + tolerance * all >= (rule.minimumParticipation ?? defaultCriteriaParticipation) * all
  );
}

/** How the scores stand, the silent left out. */
export const criteriaStanding = (rule: QuorumRule, ballots: readonly Ballot[]): CriteriaStanding =>
  standingOf(rule, ballots, 'silent');

/** Whether the scores approve if nothing more comes. */
export const meetsCriteria = (rule: QuorumRule, ballots: readonly Ballot[]): boolean => meets(rule, ballots, 'silent');

/** Whether they could still approve: a mean is greatest where all who are silent give full scores. */
export const couldMeetCriteria = (rule: QuorumRule, ballots: readonly Ballot[]): boolean =>
  meets(rule, ballots, 'best');

/** Whether they approve whatever comes: a mean is least where all who are silent give nothing. */
export const surelyMeetsCriteria = (rule: QuorumRule, ballots: readonly Ballot[]): boolean =>
  meets(rule, ballots, 'silent') && meets(rule, ballots, 'worst');
