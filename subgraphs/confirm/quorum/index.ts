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
