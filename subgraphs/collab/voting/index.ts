export type { CastVote, CountedVote, Vote, Voter, VotingMethod } from './ballot.ts';
export { votesOf, votingMethods } from './ballot.ts';
export { isCertain } from './certainty.ts';
export { countVoices, cycleThrough } from './delegation.ts';
export { type Gate, gateOf } from './gate.ts';
export { quorumOf } from './quorum.ts';
export { type VotingRules, votingRules } from './rules.ts';
export { type Election, type Option, settleTie, type Tally, tally, type VotingOutcome } from './tally.ts';
export { type TieBreak, tieBreaks } from './ties.ts';
