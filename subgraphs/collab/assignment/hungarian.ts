/** Cost of a pair that must never be. */
export const forbidden = Number.POSITIVE_INFINITY;

export interface Matching {
  /** Column of each row; -1 where nothing is left for it. */
  readonly columnOf: readonly number[];
  readonly cost: number;
}

/**
 * The assignment problem by the Hungarian method (Kuhn 1955, Munkres 1957) with potentials and shortest augmenting paths
 * (Jonker & Volgenant 1987), O(rows^2 * columns). As many rows as possible get a column of their own, at the least sum of
 * costs among all such ways.
 * @param costs finite numbers, or `forbidden`
 */
export function assign(costs: readonly (readonly number[])[]): Matching {
  const rows = costs.length;
  const given = costs[0]?.length ?? 0;
  let [least, most] = [0, 0];
  for (const row of costs)
    for (const cost of row) {
      if (cost === forbidden) continue;
      least = Math.min(least, cost);
      most = Math.max(most, cost);
    }
  // A column of its own for each row that gets none, dearer than all else together.
  const none = (most - least + 1) * (rows + 1);
  const columns = given + rows;
  const costAt = (row: number, column: number): number => {
    if (column >= given) return none;
    const cost = costs[row]![column]!;
    return cost === forbidden ? forbidden : cost - least;
  };
  const rowOf = new Int32Array(columns + 1).fill(-1);
  const rowPotential = new Float64Array(rows);
  const columnPotential = new Float64Array(columns + 1);
  const distance = new Float64Array(columns + 1);
  const from = new Int32Array(columns + 1);
  const done = new Uint8Array(columns + 1);
  for (let row = 0; row < rows; row += 1) {
    let column = columns;
    rowOf[column] = row;
    distance.fill(forbidden);
    done.fill(0);
    do {
      done[column] = 1;
      const at = rowOf[column]!;
      let delta = forbidden;
      let next = -1;
      for (let other = 0; other < columns; other += 1) {
        if (done[other] === 1) continue;
        const reduced = costAt(at, other) - rowPotential[at]! - columnPotential[other]!;
        if (reduced < distance[other]!) {
          distance[other] = reduced;
          from[other] = column;
        }
        if (distance[other]! < delta) {
          delta = distance[other]!;
          next = other;
        }
      }
      for (let other = 0; other <= columns; other += 1) {
        if (done[other] === 1) {
          rowPotential[rowOf[other]!]! += delta;
          columnPotential[other]! -= delta;
        } else distance[other]! -= delta;
      }
      column = next;
    } while (rowOf[column] !== -1);
    while (column !== columns) {
      const previous = from[column]!;
      rowOf[column] = rowOf[previous]!;
      column = previous;
    }
  }
  const columnOf = new Array<number>(rows).fill(-1);
  for (let column = 0; column < given; column += 1) if (rowOf[column] !== -1) columnOf[rowOf[column]!] = column;
  const cost = columnOf.reduce((sum, column, row) => sum + (column < 0 ? 0 : costs[row]![column]!), 0);
  return { columnOf, cost };
}
