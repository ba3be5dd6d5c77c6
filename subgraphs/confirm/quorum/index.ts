export type { CriteriaStanding, Criterion, CriterionStanding, Scores } from './criteria.ts';
export { closeOptions, countOptions, type OptionBallot, type OptionStanding, type OptionTally } from './options.ts';
export {
  type Ballot,
  closeBallots,
  countBallots,
  defaultParticipation,
  defaultThresholds,
  type QuorumKind,
  type QuorumRule,
  quorumKinds,
  type Tally,
  type Vote,
} from './quorum.ts';
