export interface Proposal {
  readonly id: string;
  /** What it is worth to each party, in the order of the parties. */
  readonly utilities: readonly number[];
}

/** What a proposal brings: how many gain, which parties, and the logarithm of the product of their gains. */
interface Gain {
  readonly winners: number;
  readonly who: string;
  readonly product: number;
}

/** Products of different parties' gains say nothing of each other, since each has a scale of its own. */
function isBetter(one: Gain, other: Gain): boolean {
  if (one.winners !== other.winners) return one.winners > other.winners;
  if (one.who !== other.who) return one.who > other.who;
  return one.product > other.product + 1e-12;
}

/**
 * The bargaining solution of Nash (1950) over given proposals: the greatest product of what each party gains over having no
 * agreement. Only proposals that leave nobody worse off count; null where there is none. Where none
 * lets all gain, the one that lets most; where those are others, the ones named first; of equals the earlier one.
 * @param disagreement what having no agreement is worth to each party
 */
export function bargain(proposals: readonly Proposal[], disagreement: readonly number[]): Proposal | null {
  let best: Proposal | null = null;
  let bestGain: Gain = { winners: -1, who: '', product: 0 };
  for (const proposal of proposals) {
    const gains = proposal.utilities.map((utility, party) => utility - disagreement[party]!);
    if (gains.some((gain) => gain < 0)) continue;
    // Where somebody can gain nothing, those who can still bargain.
    const positive = gains.filter((gain) => gain > 0);
    const product = positive.reduce((sum, gain) => sum + Math.log(gain), 0);
    const gain = { winners: positive.length, who: gains.map((own) => (own > 0 ? '1' : '0')).join(''), product };
    if (isBetter(gain, bestGain)) {
      best = proposal;
      bestGain = gain;
    }
  }
  return best;
}
