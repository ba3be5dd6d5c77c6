import type { OperationName } from './graph/operations.ts';
import type { Window } from './measure.ts';

/** Medians over the rounds of one peer and operation. */
export interface PeerRow {
  readonly operation: OperationName;
  readonly peer: string;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly peerCpuUs: number;
  /** CPU of the peer and of the process of the subgraphs together. */
  readonly wholeCpuUs: number;
  /** By the name of the other: how many times its requests a second this peer answers; median of the rounds. */
  readonly rateRatio: Readonly<Record<string, number>>;
  /** By the name of the other: how many times its CPU a request takes here, the subgraphs included. */
  readonly cpuRatio: Readonly<Record<string, number>>;
}

/** The middle of the values, or the mean of the two in the middle. @throws {Error} of none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('expected at least one value, got none');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const wholeCpuOf = (window: Window): number => window.peerCpuUs + window.subgraphCpuUs;

/**
 * Sums the windows up, in the order in which peers and operations first come. A ratio is taken within a round, where
 * both met the same machine, and only then the median of the rounds.
 */
export function summarise(windows: readonly Window[], baselines: readonly string[]): readonly PeerRow[] {
  const groups = Map.groupBy(windows, ({ operation, peer }) => `${operation} ${peer}`);
  return [...groups.values()].map((group) => {
    const { operation, peer } = group[0]!;
    const medianOf = (read: (window: Window) => number): number => median(group.map(read));
    const ratios = (read: (window: Window) => number): Readonly<Record<string, number>> =>
      Object.fromEntries(
        baselines.flatMap((baseline) => {
          const pairs = group.flatMap((window) => {
            const other = windows.find(
              (each) => each.peer === baseline && each.operation === operation && each.round === window.round,
            );
            return other ? [read(window) / read(other)] : [];
          });
          return pairs.length === 0 ? [] : [[baseline, median(pairs)]];
        }),
      );
    return {
      operation,
      peer,
      requestsPerSecond: medianOf((window) => window.requestsPerSecond),
      p50Ms: medianOf((window) => window.p50Ms),
      p99Ms: medianOf((window) => window.p99Ms),
      peerCpuUs: medianOf((window) => window.peerCpuUs),
      wholeCpuUs: medianOf(wholeCpuOf),
      rateRatio: ratios((window) => window.requestsPerSecond),
      cpuRatio: ratios(wholeCpuOf),
    };
  });
}
