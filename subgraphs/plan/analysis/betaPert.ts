import type { ThreePoint } from './estimate.ts';
import type { Random } from './random.ts';

const log4 = Math.log(4);
const onePlusLog5 = 1 + Math.log(5);

/**
 * Samples the Beta-PERT distribution: Beta(1 + 4(m - a)/(b - a), 1 + 4(b - m)/(b - a)) stretched over [a, b]. Its two
 * shapes are at least 1 and add up to 6, for which Cheng 1978 (algorithm BB, by rejection) is exact and needs about 1.3
 * trials; a mode at an end has an inverse in closed form.
 */
export function createBetaPert({ optimistic, mostLikely, pessimistic }: ThreePoint, random: Random): () => number {
  const range = pessimistic - optimistic;
  if (!(range > 0)) return () => mostLikely;
  const alpha = 1 + (4 * (mostLikely - optimistic)) / range;
  const beta = 6 - alpha;
  const small = Math.min(alpha, beta);
  if (small < 1 + 1e-9) {
    return alpha < beta
      ? () => pessimistic - range * random.next() ** 0.2
      : () => optimistic + range * random.next() ** 0.2;
  }
  const large = 6 - small;
  const scale = Math.sqrt(4 / (2 * alpha * beta - 6));
  const gamma = small + 1 / scale;
  const smallIsAlpha = small === alpha;
  return () => {
    for (;;) {
      const first = random.next();
      const second = random.next();
      const v = scale * Math.log(first / (1 - first));
      const w = small * Math.exp(v);
      const z = first * first * second;
      const r = gamma * v - log4;
      const s = small + r - w;
      if (s + onePlusLog5 < 5 * z) {
        const bound = Math.log(z);
        if (s < bound && r + 6 * Math.log(6 / (large + w)) < bound) continue;
      }
      const share = smallIsAlpha ? w / (large + w) : large / (large + w);
      return optimistic + range * share;
    }
  };
}
