import {
  type Criterion,
  type CriterionStanding,
  couldMeetCriteria,
  criteriaStanding,
  meetsCriteria,
  type Scores,
  surelyMeetsCriteria,
} from './criteria.ts';

export const quorumKinds = [
  'single',
  'sequential',
  'at_least',
  'majority',
  'unanimous',
  'weighted',
  'consensus',
  'criteria',
] as const;

export type QuorumKind = (typeof quorumKinds)[number];

/** How the decisions of a step's approvers become the decision of the step. */
export interface QuorumRule {
  readonly kind: QuorumKind;
  /**
   * Share of what does not abstain that has to approve, or the sum of criterion weight x score that has to be reached,
   * over 0 to 1. @default 0.67 weighted and criteria, 0.8 consensus
   */
  readonly threshold?: number;
  /** Share of all that has to decide, abstentions included. @default 0.8 weighted and criteria, 1 consensus */
  readonly minimumParticipation?: number;
  /** Approvals that are enough, for `at_least`. @default 1 */
  readonly required?: number;
  /** @default true */
  readonly allowAbstention?: boolean;
  /** What is scored, for `criteria`. */
  readonly criteria?: readonly Criterion[];
}

export type Vote = 'approve' | 'reject' | 'abstain';

export interface Ballot {
  /** Null while the voter has not decided. */
  readonly vote: Vote | null;
  /** Counts in `weighted` and `criteria`. */
  readonly weight: number;
  /** Nothing is approved without this voter's approval. */
  readonly required: boolean;
  /** By criterion, where the quorum has any; an approval without scores gives the full ones. */
  readonly scores?: Scores | undefined;
}

export interface Tally {
  readonly outcome: 'open' | 'approved' | 'rejected';
  readonly approve: number;
  readonly reject: number;
  readonly abstain: number;
  readonly remaining: number;
  /** Part of all that has decided, 0 to 1. */
  readonly participation: number;
  /** Approving part of what does not abstain, 0 to 1. */
  readonly share: number;
  /** Sum of criterion weight x score, 0 to 1; null where nothing is scored. */
  readonly score: number | null;
  readonly criteria: readonly CriterionStanding[];
}

interface Totals {
  readonly approve: number;
  readonly reject: number;
  readonly abstain: number;
  readonly all: number;
}

/** Sums of fractions such as 0.1 + 0.2 miss the fraction meant by less than this. */
const tolerance = 1e-9;

export const defaultThresholds = { weighted: 0.67, consensus: 0.8 } as const;
export const defaultParticipation = { weighted: 0.8, consensus: 1 } as const;

/**
 * Counts a step's ballots. It closes as soon as nothing that may still come can change the outcome: approved when it is
 * so even if all others reject or stay silent, rejected when it is so even if all others approve. Ties reject.
 */
export function countBallots(rule: QuorumRule, ballots: readonly Ballot[]): Tally {
  const totals = sum(rule, ballots);
  const remaining = totals.all - totals.approve - totals.reject - totals.abstain;
  const scored = rule.kind === 'criteria' ? criteriaStanding(rule, ballots) : { score: null, criteria: [] };
  return { ...describe(totals, remaining), ...scored, outcome: outcomeOf(rule, ballots, totals, remaining) };
}

/** The outcome if nobody decides any more: what is not approved by then is rejected. */
export function closeBallots(rule: QuorumRule, ballots: readonly Ballot[]): 'approved' | 'rejected' {
  const isMet = rule.kind === 'criteria' ? meetsCriteria(rule, ballots) : isApproved(rule, sum(rule, ballots));
  return isMet && ballots.every(({ required, vote }) => !required || vote === 'approve') ? 'approved' : 'rejected';
}

function outcomeOf(rule: QuorumRule, ballots: readonly Ballot[], totals: Totals, remaining: number): Tally['outcome'] {
  const decided = ballots.every(({ vote }) => vote !== null);
  if (decided) return closeBallots(rule, ballots);
  const needed = ballots.filter(({ required }) => required);
  if (needed.some(({ vote }) => vote === 'reject' || vote === 'abstain')) return 'rejected';
  if (rule.kind === 'criteria') {
    if (!couldMeetCriteria(rule, ballots)) return 'rejected';
    return surelyMeetsCriteria(rule, ballots) && needed.every(({ vote }) => vote === 'approve') ? 'approved' : 'open';
  }
  if (rule.kind === 'single' && totals.approve + totals.reject > 0 && needed.every(({ vote }) => vote !== null))
    return closeBallots(rule, ballots);
  if (!isApproved(rule, { ...totals, approve: totals.approve + remaining })) return 'rejected';
  const certain =
    isApproved(rule, totals) &&
    isApproved(rule, { ...totals, reject: totals.reject + remaining }) &&
    needed.every(({ vote }) => vote === 'approve');
  return certain ? 'approved' : 'open';
}

function sum(rule: QuorumRule, ballots: readonly Ballot[]): Totals {
  const totals = { approve: 0, reject: 0, abstain: 0, all: 0 };
  for (const { vote, weight } of ballots) {
    const counted = rule.kind === 'weighted' || rule.kind === 'criteria' ? weight : 1;
    totals.all += counted;
    if (vote !== null) totals[vote] += counted;
  }
  return totals;
}

/** Whether these totals approve if nothing more comes. */
function isApproved(rule: QuorumRule, { approve, reject, abstain, all }: Totals): boolean {
  if (approve <= 0) return false;
  switch (rule.kind) {
    case 'criteria':
      throw new Error('criteria are met by scores, not by totals');
    case 'single':
      return reject === 0;
    case 'at_least':
      return approve >= (rule.required ?? 1);
    case 'majority':
      return approve > all / 2;
    case 'sequential':
    case 'unanimous':
      return reject === 0 && approve + abstain >= all;
    case 'weighted':
    case 'consensus': {
      const threshold = rule.threshold ?? defaultThresholds[rule.kind];
      const minimum = rule.minimumParticipation ?? defaultParticipation[rule.kind];
      return (
        approve - reject > tolerance * all &&
        approve + tolerance * all >= threshold * (approve + reject) &&
        approve + reject + abstain + tolerance * all >= minimum * all
      );
    }
    default:
      return rule.kind satisfies never;
  }
}

function describe(totals: Totals, remaining: number): Omit<Tally, 'outcome' | 'score' | 'criteria'> {
  const { approve, reject, abstain, all } = totals;
  return {
    approve,
    reject,
    abstain,
    remaining,
    participation: all === 0 ? 0 : (approve + reject + abstain) / all,
    share: approve + reject === 0 ? 0 : approve / (approve + reject),
  };
}
