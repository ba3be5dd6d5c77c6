export const tieBreaks = ['status_quo', 'coordinator', 'earliest'] as const;
export type TieBreak = (typeof tieBreaks)[number];

export interface TieContext {
  /** In the order in which they were proposed. */
  readonly options: readonly { readonly id: string; readonly isStatusQuo: boolean }[];
  /** What the coordinator's own vote says, the best first. */
  readonly coordinatorOrder: readonly string[];
}

/** The first rule of the chain that tells the tied options apart, and what it says; null where none does. */
export function breakTie(
  tied: readonly string[],
  chain: readonly TieBreak[],
  { options, coordinatorOrder }: TieContext,
): { readonly option: string; readonly by: TieBreak } | null {
  for (const by of chain) {
    const option =
      by === 'status_quo'
        ? options.find(({ id, isStatusQuo }) => isStatusQuo && tied.includes(id))?.id
        : by === 'coordinator'
          ? coordinatorOrder.find((id) => tied.includes(id))
          : options.find(({ id }) => tied.includes(id))?.id;
    if (option !== undefined) return { option, by };
  }
  return null;
}
