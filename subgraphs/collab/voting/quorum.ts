export interface QuorumRule {
  /** Voters, at least. @default 1 */
  readonly minimum: number;
  /** Part of the electorate, 0 to 1. @default 0.6 */
  readonly fraction: number;
}

export const defaultQuorumFraction = 0.6;

/** Voters that have to take part, those that abstain among them. */
export function quorumOf({ minimum, fraction }: QuorumRule, electorate: number): number {
  // 0.6 * 5 is a little more than 3 to a computer.
  return Math.max(minimum, Math.ceil(fraction * electorate - 1e-9));
}
