/** Objectives are minimised; `violation` is how far a solution is from feasible. */
export interface Scored {
  readonly objectives: readonly number[];
  readonly violation: number;
}

/** Constrained domination (Deb et al. 2002): less violation wins, else no objective worse and one better. */
export function dominates(left: Scored, right: Scored): boolean {
  if (left.violation !== right.violation) return left.violation < right.violation;
  let better = false;
  for (const [at, value] of left.objectives.entries()) {
    if (value > right.objectives[at]!) return false;
    better ||= value < right.objectives[at]!;
  }
  return better;
}

/** Fast non-dominated sort (Deb et al. 2002): the first front is dominated by none, each next only by those before. */
export function sortIntoFronts<T extends Scored>(solutions: readonly T[]): T[][] {
  const dominated: number[][] = solutions.map(() => []);
  const dominators = new Int32Array(solutions.length);
  for (const [left, first] of solutions.entries())
    for (const [right, second] of solutions.entries())
      if (dominates(first, second)) {
        dominated[left]!.push(right);
        dominators[right]! += 1;
      }
  const fronts: T[][] = [];
  let current = [...dominators.keys()].filter((at) => dominators[at] === 0);
  while (current.length > 0) {
    fronts.push(current.map((at) => solutions[at]!));
    const next: number[] = [];
    for (const at of current)
      for (const other of dominated[at]!) {
        dominators[other]! -= 1;
        if (dominators[other] === 0) next.push(other);
      }
    current = next;
  }
  return fronts;
}

/** Crowding distance (Deb et al. 2002): the width, per objective, of the gap between the neighbours; infinite at the ends. */
export function measureCrowding(front: readonly Scored[]): Map<Scored, number> {
  const distances = new Map<Scored, number>(front.map((solution) => [solution, 0]));
  for (const objective of front[0]?.objectives.keys() ?? []) {
    const value = (solution: Scored) => solution.objectives[objective]!;
    const sorted = front.toSorted((left, right) => value(left) - value(right));
    const width = value(sorted.at(-1)!) - value(sorted[0]!);
    if (width === 0) continue;
    for (const [at, solution] of sorted.entries()) {
      const before = sorted[at - 1];
      const after = sorted[at + 1];
      const gap = before && after ? (value(after) - value(before)) / width : Number.POSITIVE_INFINITY;
      distances.set(solution, distances.get(solution)! + gap);
    }
  }
  return distances;
}

/** At most `most` solutions of a front: the most crowded goes first, and distances are measured anew each time. */
export function thinFront<T extends Scored>(front: readonly T[], most: number): T[] {
  const kept = [...front];
  while (kept.length > most) {
    const distances = measureCrowding(kept);
    let crowded = 0;
    for (const [at, solution] of kept.entries())
      if (distances.get(solution)! < distances.get(kept[crowded]!)!) crowded = at;
    kept.splice(crowded, 1);
  }
  return kept;
}
