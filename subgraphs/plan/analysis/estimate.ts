/** Three-point estimate of a duration. */
export interface ThreePoint {
  readonly optimistic: number;
  readonly mostLikely: number;
  readonly pessimistic: number;
}

/** What stands around a single estimate, as factors of it. */
export interface EstimateSpread {
  readonly optimistic: number;
  readonly pessimistic: number;
}

/** Declared, not measured: work that was estimated once tends to take longer rather than shorter. */
export const defaultSpread: EstimateSpread = { optimistic: 0.8, pessimistic: 1.5 };

/** The three points of a step; those of a single estimate are spread around it. */
export function threePointOf(
  { duration, estimate }: { readonly duration: number; readonly estimate?: ThreePoint | undefined },
  spread: EstimateSpread = defaultSpread,
): ThreePoint {
  return (
    estimate ?? {
      optimistic: duration * spread.optimistic,
      mostLikely: duration,
      pessimistic: duration * spread.pessimistic,
    }
  );
}

/** 0 <= optimistic <= most likely <= pessimistic, all finite. */
export function isThreePoint({ optimistic, mostLikely, pessimistic }: ThreePoint): boolean {
  return optimistic >= 0 && optimistic <= mostLikely && mostLikely <= pessimistic && Number.isFinite(pessimistic);
}

/** (a + 4m + b) / 6, of PERT (Malcolm, Roseboom, Clark & Fazar 1959) and of the Beta-PERT distribution alike. */
export function pertMean({ optimistic, mostLikely, pessimistic }: ThreePoint): number {
  return (optimistic + 4 * mostLikely + pessimistic) / 6;
}

/** ((b - a) / 6)^2, PERT's assumption; the Beta-PERT distribution itself has `betaPertVariance`. */
export function pertVariance({ optimistic, pessimistic }: ThreePoint): number {
  return ((pessimistic - optimistic) / 6) ** 2;
}

/** Exact variance of the distribution sampled by Monte Carlo: (mean - a)(b - mean) / 7. */
export function betaPertVariance(estimate: ThreePoint): number {
  const mean = pertMean(estimate);
  return ((mean - estimate.optimistic) * (estimate.pessimistic - mean)) / 7;
}
