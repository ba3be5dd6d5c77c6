import type { Candidate } from './candidates.ts';

/** Somebody whose vote is still out, with what is known of how soon such votes come. */
export interface AwaitedVoter {
  /** Voices that a vote of this one brings: its own and those passed on to it. */
  readonly voices: number;
  /** Votes cast in votings of the session that are over. */
  readonly votes: number;
  /** How long it has been waited for them, in this voting too, ms. */
  readonly waitedMs: number;
}

/** A voting that is open. */
export interface OpenVoting {
  readonly decisionId: string;
  readonly deadline: string;
  readonly leftMs: number;
  /** Time that its rules give a voting, ms. */
  readonly timeLimitMs: number;
  readonly quorum: number;
  /** Voters that are heard so far. */
  readonly heard: number;
  readonly awaited: readonly AwaitedVoter[];
}

const samples = 8;
const spread = 0.2;
/** A voting that comes to its quorum as surely as this is left alone. */
const sureFrom = 0.9;
/** More time that a voting may be given, in time limits, the least first. */
const extensions = [0.5, 1, 2] as const;

/**
 * Probability that a vote comes within a time: votes come at a rate that nobody knows, a gamma distribution by what was
 * seen of them, so that waiting for one is Lomax distributed (Lomax 1954). Of whom nothing was seen, half come within a
 * time limit.
 */
function arrives({ votes, waitedMs }: AwaitedVoter, timeLimitMs: number, withinMs: number): number {
  const scale = timeLimitMs + waitedMs;
  return 1 - (scale / (scale + Math.max(0, withinMs))) ** (1 + votes);
}

/** Probability that enough voters are heard in time: the distribution of the sum of voices, by convolution. */
export function quorumProbability({ quorum, heard, awaited, timeLimitMs }: OpenVoting, withinMs: number): number {
  const missing = quorum - heard;
  if (missing <= 0) return 1;
  // Of the sums that are not enough, how likely each is; the rest is enough.
  const short = new Float64Array(missing);
  short[0] = 1;
  for (const voter of awaited) {
    const probability = arrives(voter, timeLimitMs, withinMs);
    for (let sum = missing - 1; sum >= 0; sum -= 1) {
      const from = sum - voter.voices;
      short[sum] = short[sum]! * (1 - probability) + (from >= 0 ? short[from]! * probability : 0);
    }
  }
  return Math.max(0, 1 - short.reduce((all, part) => all + part, 0));
}

/** More time for votings that are likely to end without their quorum: as little as makes it likely, or the most there is. */
export function quorumRisks(votings: readonly OpenVoting[]): readonly Candidate[] {
  return votings.flatMap((voting): Candidate[] => {
    const { decisionId, deadline, leftMs, timeLimitMs, quorum, heard, awaited } = voting;
    const before = quorumProbability(voting, leftMs);
    if (leftMs <= 0 || before >= sureFrom) return [];
    const tried = extensions.map((limits) => {
      const byMs = Math.round(limits * timeLimitMs);
      return { byMs, after: quorumProbability(voting, leftMs + byMs) };
    });
    const { byMs, after } = tried.find((one) => one.after >= sureFrom) ?? tried.at(-1)!;
    if (after - before <= 0) return [];
    const gains = Array.from({ length: samples }, (_, at) => {
      // Votes that come faster by a part come as they would in a time longer by it.
      const pace = 1 - spread + (2 * spread * at) / (samples - 1);
      return quorumProbability(voting, pace * (leftMs + byMs)) - quorumProbability(voting, pace * leftMs);
    });
    return [
      {
        type: 'secure_quorum',
        action: { decisionId, deadline, byMs },
        before: { quorumProbability: before, heard },
        after: { quorumProbability: after, heard },
        gain: after - before,
        gains,
        disruption: 1,
        evidence: [
          `${heard} voters were heard, the quorum is ${quorum}`,
          `${awaited.length} votes are out, ${Math.round(leftMs / 1_000)} s are left`,
        ],
      },
    ];
  });
}
