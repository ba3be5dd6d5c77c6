import { type Candidate, candidatesOf, type LiveState, type RecommendationType } from './candidates.ts';
import { createClock } from './clock.ts';
import { confidenceOf, type Experience, topsis } from './score.ts';

export interface Ranked extends Candidate {
  readonly confidence: number;
  /** Closeness to the ideal of gain, confidence and little disruption. */
  readonly score: number;
}

export interface RankTask {
  readonly state: LiveState;
  readonly types: readonly RecommendationType[];
  readonly experience: Readonly<Record<string, Experience>>;
  readonly max: number;
  readonly minConfidence: number;
  /** Time for simulating, ms. @default no bound */
  readonly timeBudgetMs?: number;
}

export interface Ranking {
  readonly ranked: readonly Ranked[];
  /** Whether time ended the search before all that could be advised was simulated. */
  readonly timeBudgetExhausted: boolean;
}

const criteria = [
  { name: 'gain', weight: 0.5, direction: 'maximise' },
  { name: 'confidence', weight: 0.3, direction: 'maximise' },
  { name: 'disruption', weight: 0.2, direction: 'minimise' },
] as const;

/** The best of what can be advised, by gain times confidence. What a thread of the compute pool runs. */
export function rank({ state, types, experience, max, minConfidence, timeBudgetMs }: RankTask): Ranking {
  const clock = createClock(timeBudgetMs);
  const sure = candidatesOf(state, types, clock)
    .map((candidate) => ({
      ...candidate,
      confidence: confidenceOf(experience[candidate.type] ?? { succeeded: 0, failed: 0 }, candidate.gains),
    }))
    .filter(({ confidence }) => confidence >= minConfidence);
  const scores = topsis(
    sure.map(({ gain, confidence, disruption }) => [gain, confidence, disruption]),
    criteria,
  );
  const ranked = sure
    .map((candidate, at) => ({ ...candidate, score: scores[at]! }))
    .sort((one, other) => other.gain * other.confidence - one.gain * one.confidence)
    .slice(0, max);
  return { ranked, timeBudgetExhausted: clock.wasOver };
}
