import type { Budget } from './budget.ts';
import type { Builder } from './builder.ts';
import { searchGenetically } from './geneticSearch.ts';
import { copyIndividual, createIndividual, evaluateList, type Individual } from './individual.ts';
import { createListMoves } from './listMoves.ts';
import { priorityRules, rankActivities } from './priorityRules.ts';
import type { Random } from './random.ts';
import { createSampler } from './sampling.ts';
import { impossible } from './serialGeneration.ts';

/** What follows the priority rules. */
export type SearchAlgorithm = 'annealing' | 'genetic';

export interface ShortestSearch {
  /** @default annealing */
  readonly algorithm?: SearchAlgorithm | undefined;
  readonly builder: Builder;
  readonly random: Random;
  readonly budget: Budget;
  /** The search ends where it reaches this length. */
  readonly lowerBound: number;
  /** Told of each shorter schedule; the array is reused. */
  readonly onBetter: (best: Individual) => void;
}

const sampledLists = 100;
/** Share of the budget that sampling may take at most. */
const samplingShare = 0.1;
/** Units of time by which a schedule may be longer and still be taken with chance 1/e when annealing begins. */
const startTemperature = 0.5;
const mostShifts = 3;
const reachShare = 0.2;

/**
 * The shortest schedule found: priority rules, then regret-biased samples, then simulated annealing over lists
 * (Bouleimen and Lecocq 2003) with every schedule justified (Valls, Ballestin and Quintanilla 2005). It cools with the
 * share of the budget used. A genetic search begins with samples of its own.
 */
export function searchShortest(search: ShortestSearch): Individual {
  const { algorithm = 'annealing', builder, random, budget, lowerBound, onBetter } = search;
  const { instance } = builder;
  const best = createIndividual(instance.size);
  const keep = (candidate: Individual): void => {
    if (candidate.length >= best.length && best.length < impossible) return;
    copyIndividual(candidate, best);
    if (best.length < impossible) onBetter(best);
  };
  const isOver = () => best.length <= lowerBound || budget.isSpent(builder.evaluations);

  const sampler = createSampler(instance, random);
  let candidate = createIndividual(instance.size);
  for (const rule of priorityRules) {
    sampler.greedy(rankActivities(instance, rule), candidate.list);
    evaluateList(builder, candidate);
    keep(candidate);
    if (isOver()) return best;
  }
  const latestFinish = rankActivities(instance, 'latest_finish');
  const moves = createListMoves(instance, random);
  if (algorithm === 'genetic') {
    let drawn = 0;
    const sample = (list: Int32Array) => sampler.biased(latestFinish, 1 + (drawn++ % 3), list);
    searchGenetically({ builder, moves, random, isOver, sample, keep }, best);
    return best;
  }
  for (let drawn = 0; drawn < sampledLists && budget.share(builder.evaluations) < samplingShare; drawn += 1) {
    sampler.biased(latestFinish, 1 + (drawn % 3), candidate.list);
    evaluateList(builder, candidate);
    keep(candidate);
    if (isOver()) return best;
  }

  const reach = Math.ceil(instance.size * reachShare);
  const annealingFrom = budget.share(builder.evaluations);
  let current = createIndividual(instance.size);
  copyIndividual(best, current);
  while (!isOver()) {
    candidate.list.set(current.list);
    for (let shifts = 1 + random.integer(mostShifts); shifts > 0; shifts -= 1) moves.shift(candidate.list, reach);
    evaluateList(builder, candidate);
    const worse = candidate.length - current.length;
    const left = (1 - budget.share(builder.evaluations)) / (1 - annealingFrom);
    if (worse > 0 && random.next() >= Math.exp(-worse / (startTemperature * left))) continue;
    [current, candidate] = [candidate, current];
    keep(current);
  }
  return best;
}
