import { createBudget, type SearchLimits } from './budget.ts';
import { createBuilder } from './builder.ts';
import { explainUnplaced, findLateness } from './feasibility.ts';
import { createGenomeFactory, type Genome, type GenomeFactory } from './genome.ts';
import type { Instance } from './instance.ts';
import { measureCrowding, sortIntoFronts, thinFront } from './nondominated.ts';
import type { Target } from './objectives.ts';
import { type NoSchedule, prepareInstance } from './optimize.ts';
import { rankActivities } from './priorityRules.ts';
import { free, type SchedulingProblem } from './problem.ts';
import { createRandom, type Random } from './random.ts';
import { createSampler } from './sampling.ts';
import { impossible } from './serialGeneration.ts';
import { searchShortest } from './shortestSearch.ts';

export interface ParetoOptions extends SearchLimits {
  readonly seed: number;
  readonly targets: readonly Target[];
  /** @default 100 */
  readonly population?: number;
  /** @default 50 */
  readonly generations?: number;
  /** @default 0.8 */
  readonly crossover?: number;
  /** @default 0.1 */
  readonly mutation?: number;
  /** @default 20 */
  readonly maxFront?: number;
  /** Ends where no target got better by this share for ten generations. @default 0.001 */
  readonly convergence?: number;
  readonly onProgress?:
    | ((progress: { readonly generation: number; readonly best: readonly number[] }) => void)
    | undefined;
}

export interface ParetoSchedule {
  readonly starts: Int32Array;
  /** After crashing. */
  readonly durations: Int32Array;
  /** One value per target, in the order of the options; quality is 1 - quality. */
  readonly values: readonly number[];
}

export interface ParetoFront {
  readonly status: 'feasible';
  /** None dominates another; by the first target. */
  readonly front: readonly ParetoSchedule[];
  readonly generations: number;
  readonly schedules: number;
  readonly timeLimited: boolean;
}

type Ranked = Genome & { rank: number; crowding: number };

/** Stretches that levelling is tried with; below 0 means none. */
const stretches = [-1, 0, 0, 0.05, 0.1, 0.25];
/** Share of the budget that first goes to the shortest schedule alone. */
const shortestShare = 0.2;
const patience = 10;

/**
 * Schedules of which none is better in all targets: NSGA-II (Deb, Pratap, Agarwal and Meyarivan 2002) over lists, crash
 * amounts and how far levelling may stretch. Determined by problem and seed where neither time nor `shouldStop` end it.
 */
export function findParetoFront(problem: SchedulingProblem, options: ParetoOptions): ParetoFront | NoSchedule {
  const { population = 100, generations = 50, maxFront = 20, convergence = 0.001, targets } = options;
  const instance = prepareInstance(problem);
  if ('status' in instance) return instance;
  const budget = createBudget(options);
  const random = createRandom(options.seed);
  const factory = createGenomeFactory(instance, targets, random);
  const shortest = seedShortest(instance, options, random);
  if ('status' in shortest) return shortest;
  const schedules = () => shortest.schedules + factory.evaluations();
  const breeder = createBreeder(instance, factory, random, options);

  let parents = rankAll([breeder.of(shortest.list)]);
  while (parents.length < population && !budget.isSpent(schedules())) parents.push(...rankAll([breeder.fresh()]));
  parents = select(parents, population);
  let best = targets.map((_, at) => Math.min(...parents.map(({ objectives }) => objectives[at]!)));
  let generation = 0;
  for (let idle = 0; generation < generations && idle < patience && !budget.isSpent(schedules()); generation += 1) {
    const children: Genome[] = [];
    while (children.length < population && !budget.isSpent(schedules())) children.push(breeder.breed(parents));
    parents = select([...parents, ...children], population);
    const reached = best.map((value, at) => Math.min(value, ...parents.map(({ objectives }) => objectives[at]!)));
    idle = reached.every((value, at) => best[at]! - value <= convergence * Math.abs(best[at]!)) ? idle + 1 : 0;
    best = reached;
    options.onProgress?.({ generation: generation + 1, best });
  }
  const front = thinFront(distinct(parents.filter(({ rank }) => rank === 0)), maxFront);
  const late = front[0]!.violation > 0 ? findLateness(front[0]!.instance, front[0]!.starts) : null;
  if (late !== null) return { status: 'infeasible', infeasibility: late, closest: front[0]!.starts };
  return {
    status: 'feasible',
    front: front
      .toSorted((left, right) => left.objectives[0]! - right.objectives[0]!)
      .map(({ starts, instance: { durations }, objectives }) => ({ starts, durations, values: objectives })),
    generations: generation,
    schedules: schedules(),
    timeLimited: shortest.timeLimited || budget.isTimeLimited(),
  };
}

function seedShortest(
  instance: Instance,
  options: ParetoOptions,
  random: Random,
): { list: Int32Array; schedules: number; timeLimited: boolean } | NoSchedule {
  const builder = createBuilder(instance);
  const budget = createBudget({
    ...options,
    maxSchedules: options.maxSchedules * shortestShare,
    maxMilliseconds: options.maxMilliseconds && options.maxMilliseconds * shortestShare,
  });
  const best = searchShortest({
    builder,
    random,
    budget,
    lowerBound: 0,
    onBetter: () => {},
  });
  if (best.length >= impossible)
    return { status: 'infeasible', infeasibility: explainUnplaced(builder), closest: null };
  return { list: best.list, schedules: builder.evaluations, timeLimited: budget.isTimeLimited() };
}

function createBreeder(
  instance: Instance,
  { express, moves }: GenomeFactory,
  random: Random,
  { crossover = 0.8, mutation = 0.1 }: ParetoOptions,
) {
  const { crashOptions = [], durations, fixedStarts } = instance.problem;
  const sampler = createSampler(instance, random);
  const priorities = rankActivities(instance, 'latest_finish');
  // What already runs keeps its duration.
  const room = Int32Array.from(crashOptions, ({ activity, crashDuration }) =>
    (fixedStarts?.[activity] ?? free) === free ? durations[activity]! - crashDuration : 0,
  );
  const none = new Int32Array(room.length);
  const stretch = () => stretches[random.integer(stretches.length)]!;
  const reach = Math.ceil(instance.size / 5);

  const pick = (parents: readonly Ranked[]): Ranked => {
    const left = parents[random.integer(parents.length)]!;
    const right = parents[random.integer(parents.length)]!;
    if (left.rank !== right.rank) return left.rank < right.rank ? left : right;
    return left.crowding >= right.crowding ? left : right;
  };
  return {
    of: (list: Int32Array): Genome => express(list, none, -1),
    fresh(): Genome {
      const list = new Int32Array(instance.size);
      sampler.biased(priorities, 1, list);
      const chance = random.next();
      const saved = room.map((units) => (random.next() < chance ? random.integer(units + 1) : 0));
      return express(list, random.next() < 0.5 ? saved : none, stretch());
    },
    breed(parents: readonly Ranked[]): Genome {
      const mother = pick(parents);
      const father = pick(parents);
      const list = mother.list.slice();
      const saved = mother.saved.slice();
      let stretched = mother.stretch;
      if (random.next() < crossover) {
        moves.cross(mother.list, father.list, list);
        for (const at of saved.keys()) if (random.next() < 0.5) saved[at] = father.saved[at]!;
        if (random.next() < 0.5) stretched = father.stretch;
      }
      for (let place = 0; place < instance.size; place += 1) if (random.next() < mutation) moves.shift(list, reach);
      for (const [at, units] of room.entries()) if (random.next() < mutation) saved[at] = random.integer(units + 1);
      if (random.next() < mutation) stretched = stretch();
      return express(list, saved, stretched);
    },
  };
}

function rankAll(genomes: readonly Genome[]): Ranked[] {
  return sortIntoFronts(genomes).flatMap((front, rank) => {
    const crowding = measureCrowding(front);
    return front.map((genome) => ({ ...genome, rank, crowding: crowding.get(genome)! }));
  });
}

/** The best fronts, the last one thinned by crowding; solutions of equal values count once while others are left. */
function select(genomes: readonly Genome[], population: number): Ranked[] {
  const unique = distinct(genomes);
  const ranked = rankAll(unique);
  return ranked
    .toSorted((left, right) => left.rank - right.rank || right.crowding - left.crowding)
    .slice(0, population);
}

function distinct<T extends Genome>(genomes: readonly T[]): T[] {
  return [...new Map(genomes.map((genome) => [`${genome.violation}/${genome.objectives.join('/')}`, genome])).values()];
}
