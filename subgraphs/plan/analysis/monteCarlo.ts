import { type ActivityNetwork, requireTopology, type Topology } from '../network/index.ts';
import { createBetaPert } from './betaPert.ts';
import type { ThreePoint } from './estimate.ts';
import { createRandom } from './random.ts';
import { compilePass } from './samplePass.ts';

export interface MonteCarloOptions {
  readonly topology?: Topology | undefined;
  /** Most samples taken. @default 2_000 */
  readonly samples?: number | undefined;
  /** The same seed draws the same samples, in the same order. @default 1 */
  readonly seed?: number | undefined;
  readonly deadline?: number | undefined;
  /** @default [0.1, 0.5, 0.8, 0.9, 0.95] */
  readonly percentiles?: readonly number[] | undefined;
  /** Asked after every sample; true ends the run with what it has. @default never */
  readonly shouldStop?: (() => boolean) | undefined;
}

/** The order statistic at this share of the samples, between bounds that hold the true percentile in 95 % of runs. */
export interface FinishPercentile {
  readonly share: number;
  readonly finish: number;
  readonly low: number;
  readonly high: number;
}

export interface MonteCarloResult {
  readonly samples: number;
  /** `shouldStop` ended the run before all samples were taken. */
  readonly stoppedEarly: boolean;
  readonly mean: number;
  readonly standardDeviation: number;
  /** Of the mean. */
  readonly standardError: number;
  readonly percentiles: readonly FinishPercentile[];
  /** P(finish <= deadline); its error is that of (k + 1) / (n + 2), so that it is not zero at 0 % and 100 %. */
  readonly onTime: { readonly probability: number; readonly standardError: number } | null;
  /** By node, share of the samples in which the step lay on a longest path (Van Slyke 1963). */
  readonly criticality: Float64Array;
  /** By node, correlation of its duration with the finish (Williams 1992). */
  readonly cruciality: Float64Array;
  /** By node, criticality x deviation of the step / deviation of the finish: the schedule sensitivity index. */
  readonly sensitivity: Float64Array;
}

/**
 * Samples every duration from its Beta-PERT distribution and computes the longest path of each sample (Van Slyke 1963).
 * O(samples x (steps + dependencies)).
 */
export function simulateFinish(
  network: ActivityNetwork,
  estimates: readonly ThreePoint[],
  options: MonteCarloOptions = {},
): MonteCarloResult {
  const { topology = requireTopology(network), samples = 2_000, seed = 1, shouldStop } = options;
  const random = createRandom(seed);
  const pass = compilePass(network, topology);
  const samplers = Array.from(topology.order, (node) => createBetaPert(estimates[node]!, random));
  const moments = createMoments(network.count);
  const finishes = new Float64Array(Math.max(1, samples));
  let taken = 0;
  let stoppedEarly = false;
  while (taken < finishes.length && !stoppedEarly) {
    for (let place = 0; place < samplers.length; place += 1) pass.duration[place] = samplers[place]!();
    const finish = pass.run();
    finishes[taken] = finish;
    moments.add(pass.duration, finish);
    taken += 1;
    stoppedEarly = taken < finishes.length && shouldStop?.() === true;
  }

  const drawn = finishes.subarray(0, taken);
  const { mean, deviation, cruciality, durationDeviation } = moments.summarize();
  const byNode = (valueAt: (place: number) => number): Float64Array =>
    Float64Array.from(topology.position, (place) => valueAt(place));
  const critical = (place: number): number => pass.timesCritical[place]! / taken;
  return {
    ...{ samples: taken, stoppedEarly, mean, standardDeviation: deviation },
    standardError: deviation / Math.sqrt(taken),
    percentiles: percentilesOf(drawn, options.percentiles ?? [0.1, 0.5, 0.8, 0.9, 0.95]),
    onTime: options.deadline === undefined ? null : shareWithin(drawn, options.deadline),
    criticality: byNode(critical),
    cruciality: byNode((place) => cruciality[place]!),
    sensitivity: byNode((place) => (deviation > 0 ? (critical(place) * durationDeviation[place]!) / deviation : 0)),
  };
}

function shareWithin(finishes: Float64Array, deadline: number) {
  const samples = finishes.length;
  const within = finishes.reduce((sum, finish) => sum + (finish <= deadline ? 1 : 0), 0);
  const smoothed = (within + 1) / (samples + 2);
  return { probability: within / samples, standardError: Math.sqrt((smoothed * (1 - smoothed)) / samples) };
}

function percentilesOf(finishes: Float64Array, shares: readonly number[]): FinishPercentile[] {
  const sorted = finishes.toSorted();
  const samples = sorted.length;
  const ranked = (rank: number): number => sorted[Math.min(samples, Math.max(1, Math.ceil(rank))) - 1]!;
  return shares.map((share) => {
    const margin = 1.96 * Math.sqrt(samples * share * (1 - share));
    return {
      ...{ share, finish: ranked(samples * share) },
      low: ranked(Math.floor(samples * share - margin)),
      high: ranked(samples * share + margin + 1),
    };
  });
}

/** Running means and products of the deviations from them (Welford 1962), of every duration and of the finish. */
function createMoments(count: number) {
  const durationMean = new Float64Array(count);
  const durationSquares = new Float64Array(count);
  const products = new Float64Array(count);
  let samples = 0;
  let mean = 0;
  let squares = 0;
  return {
    add(durations: Float64Array, finish: number): void {
      samples += 1;
      const deviation = finish - mean;
      mean += deviation / samples;
      squares += deviation * (finish - mean);
      for (let place = 0; place < count; place += 1) {
        const before = durations[place]! - durationMean[place]!;
        durationMean[place]! += before / samples;
        durationSquares[place]! += before * (durations[place]! - durationMean[place]!);
        products[place]! += before * (finish - mean);
      }
    },
    summarize: () => ({
      mean,
      deviation: samples > 1 ? Math.sqrt(squares / (samples - 1)) : 0,
      durationDeviation: durationSquares.map((sum) => (samples > 1 ? Math.sqrt(sum / (samples - 1)) : 0)),
      cruciality: products.map((product, place) => {
        const scale = Math.sqrt(durationSquares[place]! * squares);
        return scale > 0 ? Math.min(1, Math.max(-1, product / scale)) : 0;
      }),
    }),
  };
}
