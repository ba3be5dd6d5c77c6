import type { Approvers } from '#shared/approvers.ts';
import type { RoutingGoals } from '../routing/optimize.ts';

/** Who is asked before a network is retired, or its connections are moved. */
export interface NetworkApprovalValue extends Approvers {
  /** Share of the open connections that may be moved without anybody being asked. */
  readonly disruptionTolerance: number;
}

/** An optimisation, by what its caller asked of it. */
export interface PendingRun {
  readonly id: string;
  readonly goals: RoutingGoals;
  /** Null where the caller named none. @default null */
  readonly disruptionTolerance?: number | null;
}

/** A change as it was asked for. */
export interface NetworkPendingChange {
  readonly id: string;
  readonly kind: 'retire' | 'optimize';
  /** Of a retirement. */
  readonly reason: string | null;
  /** Of an optimisation, whose result holds the moves. */
  readonly run: PendingRun | null;
  readonly requestedBy: string;
  readonly requestedAt: string;
  /** Null until the confirm module has opened it. */
  readonly confirmId: string | null;
}
