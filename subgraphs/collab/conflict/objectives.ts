export type Direction = 'at_least' | 'at_most';

export interface ObjectiveMetric {
  /** Index of its objective. */
  readonly objective: number;
  readonly name: string;
  readonly target: number;
  readonly direction: Direction;
}

export interface Contradiction {
  readonly metric: string;
  readonly objectives: readonly number[];
  /** The least that one asks for, and the most that another allows. */
  readonly atLeast: number;
  readonly atMost: number;
}

/** Metrics of which one objective asks for more than another allows. */
export function contradictions(metrics: readonly ObjectiveMetric[]): readonly Contradiction[] {
  return [...Map.groupBy(metrics, ({ name }) => name)].flatMap(([metric, list]) => {
    const lower = list.filter(({ direction }) => direction === 'at_least');
    const upper = list.filter(({ direction }) => direction === 'at_most');
    const atLeast = Math.max(...lower.map(({ target }) => target));
    const atMost = Math.min(...upper.map(({ target }) => target));
    if (lower.length === 0 || upper.length === 0 || atLeast <= atMost) return [];
    const objectives = [
      ...lower.filter(({ target }) => target > atMost),
      ...upper.filter(({ target }) => target < atLeast),
    ];
    return [
      {
        metric,
        objectives: [...new Set(objectives.map(({ objective }) => objective))].sort((a, b) => a - b),
        atLeast,
        atMost,
      },
    ];
  });
}
