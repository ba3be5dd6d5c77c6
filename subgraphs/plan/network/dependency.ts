/** The four precedence relations of the precedence diagramming method (Fondahl 1961). */
export const dependencyTypes = ['finish_to_start', 'start_to_start', 'finish_to_finish', 'start_to_finish'] as const;
export type DependencyType = (typeof dependencyTypes)[number];

export interface NetworkDependency {
  readonly id: string;
  /** Predecessor. */
  readonly source: string;
  /** Successor. */
  readonly target: string;
  readonly type: DependencyType;
  /** Time between the two events, in the unit of the durations; negative is a lead. */
  readonly lag: number;
}

/** Bit of `edgeType`: the relation starts at the predecessor's finish. */
export const sourceIsFinish = 1;
/** Bit of `edgeType`: the relation bounds the successor's finish. */
export const targetIsFinish = 2;

const codes: Readonly<Record<DependencyType, number>> = {
  finish_to_start: sourceIsFinish,
  start_to_start: 0,
  finish_to_finish: sourceIsFinish | targetIsFinish,
  start_to_finish: targetIsFinish,
};

/** Which events a relation joins, as two bits. */
export function eventBits(type: DependencyType): number {
  return codes[type];
}
