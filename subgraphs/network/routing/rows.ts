import type { InfeasibilityProof } from './infeasibility.ts';
import type { BoundKind, Feasibility } from './optimize.ts';
import type { RoutingMeasures } from './problem.ts';

export interface OptimizationResult {
  readonly before: RoutingMeasures;
  readonly after: RoutingMeasures;
  readonly lowerBound: number;
  readonly boundIsTight: boolean;
  readonly gap: number;
  readonly optimal: boolean;
  readonly changes: readonly {
    readonly demand: number;
    readonly connectionId: string | null;
    readonly oldPath: readonly string[] | null;
    readonly newPath: readonly string[] | null;
  }[];
  readonly unrouted: readonly {
    readonly demand: number;
    readonly source: string;
    readonly target: string;
    readonly mbps: number;
  }[];
  readonly infeasibility: InfeasibilityValue | null;
  /** Of runs since bounds have kinds, as the next. */
  readonly boundKind?: BoundKind;
  readonly feasibility?: Feasibility;
  readonly algorithm: string;
  readonly iterations: number;
  readonly timeBudgetExhausted: boolean;
  /** Of runs since nodes have circuits. */
  readonly avoidedNodes?: readonly string[];
  /** Of runs over open connections since moves are judged when they are made, as is what follows. */
  readonly matrixHash?: string | null;
  readonly movesMade?: number;
  /** Computed ones that were left out. */
  readonly movesDropped?: number;
}

export interface InfeasibilityValue {
  /** Of those since proofs have kinds; TOTAL of a network whose connections together are bounded. */
  readonly kind?: InfeasibilityProof['kind'] | 'TOTAL';
  /** Of PRICES, by link of `linkIds`. */
  readonly prices?: readonly number[];
  readonly linkIds: readonly string[];
  readonly nodeIds: readonly string[];
  readonly capacityMbps: number;
  readonly demandedMbps: number;
  readonly demands: readonly number[];
  /** Of LATENCY. */
  readonly latencyMs?: number;
  readonly maxLatencyMs?: number;
}
