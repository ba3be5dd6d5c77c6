import type { Builder } from './builder.ts';
import { impossible } from './serialGeneration.ts';

/** A list and the schedule it stands for. */
export interface Individual {
  readonly list: Int32Array;
  readonly starts: Int32Array;
  length: number;
}

export function createIndividual(size: number): Individual {
  return { list: new Int32Array(size), starts: new Int32Array(size), length: impossible };
}

export function copyIndividual(from: Individual, to: Individual): void {
  to.list.set(from.list);
  to.starts.set(from.starts);
  to.length = from.length;
}

/** Generates the schedule of the list and justifies it; the list is then that of the justified schedule. */
export function evaluateList(builder: Builder, individual: Individual): void {
  individual.length = builder.generate(individual.list, individual.starts);
  if (individual.length >= impossible) return;
  individual.length = builder.justify(individual.starts);
  builder.list(individual.starts, individual.list);
}
