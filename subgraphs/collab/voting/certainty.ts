import { isAtLeast, isMore } from './ballot.ts';
import { byzantineQuorum, countsWeights, isHeardEnough, type VotingRules } from './rules.ts';
import type { Election, Tally } from './tally.ts';

/**
 * Whether the votes that are still out could not change the outcome any more: the winner's share holds against all of
 * them, or nobody can reach it with all of them. Never before a quorum that binds is met, since nobody has to come.
 */
export function isCertain(election: Election, { standings, rounds, quorumMet, heard, voters }: Tally): boolean {
  const { rules, electorate, votes } = election;
  if (!isHeardEnough(rules, quorumMet)) return false;
  if (heard === voters) return true;
  const weights = countsWeights(rules);
  const heardWeight = votes.reduce((sum, { weight, voices }) => sum + (weights ? weight : voices), 0);
  const all = weights ? electorate.reduce((sum, { weight }) => sum + weight, 0) : voters;
  const out = Math.max(0, all - heardWeight);
  const abstained = votes.reduce(
    (sum, { vote, weight, voices }) => sum + (vote.kind === 'abstain' ? (weights ? weight : voices) : 0),
    0,
  );
  const cast = heardWeight - abstained;
  const [first, second] = standings;
  const leads = first === undefined ? 0 : first.support;
  const next = second === undefined ? 0 : second.support;
  switch (rules.method) {
    case 'majority':
      return isMore(2 * leads, cast + out) || isMore(cast + out, 2 * (leads + out));
    case 'weighted': {
      const { threshold } = rules;
      const holds = isMore(leads, threshold * (cast + out)) && isMore(leads, next + out);
      return holds || isMore(threshold * (cast + out), leads + out);
    }
    case 'approval':
      return (
        (isAtLeast(leads, rules.threshold * (cast + out)) && isMore(leads, next + out)) ||
        isMore(rules.threshold * (cast + out), leads + out)
      );
    case 'consensus':
      return consensusIsCertain(rules, { leads, cast, out });
    case 'byzantine_quorum':
      return (first?.voices ?? 0) >= byzantineQuorum(voters);
    case 'instant_runoff':
      return isMore(2 * Math.max(0, ...(rounds[0]?.supports ?? []).map(({ support }) => support)), cast + out);
    case 'coordinator':
      return votes.some(({ voter, vote }) => voter === election.coordinator && vote.kind === 'choice');
    default:
      return false;
  }
}

/** Below its threshold a consensus may still become a majority when its time is over. */
function consensusIsCertain(
  { threshold, fallback }: VotingRules,
  { leads, cast, out }: { readonly leads: number; readonly cast: number; readonly out: number },
): boolean {
  if (isAtLeast(leads, threshold * (cast + out)) && isMore(2 * leads, cast + out)) return true;
  return fallback === 'none' && isMore(threshold * (cast + out), leads + out);
}
