import type { Builder } from './builder.ts';
import { createIndividual, evaluateList, type Individual } from './individual.ts';
import type { ListMoves } from './listMoves.ts';
import type { Random } from './random.ts';

export interface GeneticSearch {
  readonly builder: Builder;
  readonly moves: ListMoves;
  readonly random: Random;
  readonly isOver: () => boolean;
  /** Writes a list to begin with. */
  readonly sample: (list: Int32Array) => void;
  /** Told of each schedule; it may be reused. */
  readonly keep: (candidate: Individual) => void;
}

const populationSize = 40;
/** Chance of each place of a list to change with its neighbour. */
const mutationRate = 0.05;

/**
 * Breeds lists until it is over: pairs drawn by chance have two children each by two-point crossover, and of all the shortest
 * stay (Hartmann 1998), with every schedule justified (Valls, Ballestin and Quintanilla 2005).
 */
export function searchGenetically(
  { builder, moves, random, isOver, sample, keep }: GeneticSearch,
  best: Individual,
): void {
  const { size } = builder.instance;
  const evaluate = (candidate: Individual): Individual => {
    evaluateList(builder, candidate);
    keep(candidate);
    return candidate;
  };
  let population: Individual[] = [{ list: best.list.slice(), starts: best.starts.slice(), length: best.length }];
  while (population.length < populationSize && !isOver()) {
    const drawn = createIndividual(size);
    sample(drawn.list);
    population.push(evaluate(drawn));
  }
  const childOf = (mother: Individual, father: Individual): Individual => {
    const child = createIndividual(size);
    moves.cross(mother.list, father.list, child.list);
    for (let place = 0; place < size; place += 1) if (random.next() < mutationRate) moves.shift(child.list, 1);
    return evaluate(child);
  };
  while (!isOver()) {
    const drawn = shuffle(population, random);
    const children: Individual[] = [];
    for (let at = 0; at < drawn.length && !isOver(); at += 2) {
      const [mother, father] = [drawn[at]!, drawn[at + 1] ?? drawn[0]!];
      children.push(childOf(mother, father));
      if (!isOver()) children.push(childOf(father, mother));
    }
    population = [...population, ...children]
      .toSorted((left, right) => left.length - right.length)
      .slice(0, populationSize);
  }
}

/** In an order by chance (Fisher and Yates). */
function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
  const shuffled = [...items];
  for (let at = shuffled.length - 1; at > 0; at -= 1) {
    const other = random.integer(at + 1);
    [shuffled[at], shuffled[other]] = [shuffled[other]!, shuffled[at]!];
  }
  return shuffled;
}
