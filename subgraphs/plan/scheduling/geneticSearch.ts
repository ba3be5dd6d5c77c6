import type { Builder } from './builder.ts';
import type { Random } from './random.ts';

/** A list and the schedule it stands for. */
export interface Individual {
  readonly list: Int32Array;
  readonly starts: Int32Array;
  length: number;
}

export function createIndividual(size: number): Individual {
  return { list: new Int32Array(size), starts: new Int32Array(size), length: Number.POSITIVE_INFINITY };
}

export function copyIndividual(from: Individual, to: Individual): void {
  to.list.set(from.list);
  to.starts.set(from.starts);
  to.length = from.length;
}

/** Two-point crossover of lists (Hartmann 1998): the order of the mother outside the cut, of the father inside. */
export function crossLists(mother: Int32Array, father: Int32Array, cut: { first: number; last: number; taken: Uint8Array }, child: Int32Array) {
  const { first, last, taken } = cut;
  const size = mother.length;
  taken.fill(0);
  for (let place = 0; place < first; place += 1) {
    const activity = mother[place]!;
    child[place] = activity;
    taken[activity] = 1;
  }
  let place = first;
  for (let at = 0; place < last; at += 1) {
    const activity = father[at]!;
    if (taken[activity] === 1) continue;
    taken[activity] = 1;
    child[place++] = activity;
  }
  for (let at = first; place < size; at += 1) {
    const activity = mother[at]!;
    if (taken[activity] === 1) continue;
    child[place++] = activity;
  }
}

/** Swaps neighbours in the list with the chance given, where no arc forbids it (Hartmann 1998). */
export function mutateList(builder: Builder, list: Int32Array, chance: number, random: Random): void {
  const { offsets, ends } = builder.instance.listSuccessors;
  for (let place = 0; place + 1 < list.length; place += 1) {
    if (random.next() >= chance) continue;
    const first = list[place]!;
    const second = list[place + 1]!;
    let bound = false;
    for (let at = offsets[first]!; at < offsets[first + 1]!; at += 1) if (ends[at] === second) bound = true;
    if (bound) continue;
    list[place] = second;
    list[place + 1] = first;
  }
}

/** Schedule of the list, justified; the list is then that of the schedule. */
export function evaluate(builder: Builder, individual: Individual): void {
  individual.length = builder.generate(individual.list, individual.starts);
  if (individual.length >= 2 ** 30) return;
  individual.length = builder.justify(individual.starts);
  builder.list(individual.starts, individual.list);
}
