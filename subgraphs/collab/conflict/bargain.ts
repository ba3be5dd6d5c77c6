export interface Proposal {
  readonly id: string;
  /** What it is worth to each party, in the order of the parties. */
  readonly utilities: readonly number[];
}

/**
 * The bargaining solution of Nash (1950) over given proposals: the greatest product of what each party gains over having no
 * agreement. Only proposals that leave nobody worse off count; null where there is none. Of equals the earlier one.
 * @param disagreement what having no agreement is worth to each party
 */
export function bargain(proposals: readonly Proposal[], disagreement: readonly number[]): Proposal | null {
  let best: Proposal | null = null;
  let bestGain: readonly [active: number, product: number] = [-1, 0];
  for (const proposal of proposals) {
    const gains = proposal.utilities.map((utility, party) => utility - disagreement[party]!);
    if (gains.some((gain) => gain < 0)) continue;
    // Where somebody can gain nothing, those who can still bargain.
    const positive = gains.filter((gain) => gain > 0);
    const product = positive.reduce((sum, gain) => sum + Math.log(gain), 0);
    const gain = [positive.length, product] as const;
    if (gain[0] > bestGain[0] || (gain[0] === bestGain[0] && gain[1] > bestGain[1] + 1e-12)) {
      best = proposal;
      bestGain = gain;
    }
  }
  return best;
}
