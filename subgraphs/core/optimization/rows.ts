import type { TunedStep } from '../tuning/tune.ts';
import type { WorkflowDefinition } from '../workflow/definition.ts';

export type OptimizationScope = 'workers' | 'workflows' | 'allocations';
export type OptimizationStatus = 'proposed' | 'applied' | 'kept' | 'returned';

/** A resource that others wait for, by the USE method (Gregg, 2013). */
export interface Bottleneck {
  readonly resource: string;
  readonly targetId: string | null;
  readonly utilization: number;
  /** Those that wait at a time, by Little's law. */
  readonly saturation: number;
  readonly errors: number;
  readonly meanWaitMs: number;
  readonly meanServiceMs: number;
  /** Part of the time of what passes through it that is waiting for it. */
  readonly blame: number;
}

/** Waits and services of what a change is about. */
export interface Times {
  readonly count: number;
  readonly waitMs: number;
  readonly serviceMs: number;
}

export interface OptimizationChange {
  readonly knob: string;
  readonly target: string | null;
  readonly from: string;
  readonly to: string;
  readonly model: string;
  readonly predictedGain: number;
  readonly measuredGain: number | null;
  readonly reason: string | null;
  readonly before: Times | null;
}

/** What a change must not make worse. */
export interface Guard {
  readonly metric: string;
  readonly target: string | null;
  readonly before: number;
  readonly limit: number;
  readonly after: number | null;
  readonly breached: boolean | null;
  /** How sure `before` is: observations and their squared deviation. */
  readonly count: number;
  readonly variance: number;
}

export interface WorkflowTuning {
  readonly workflowId: string;
  readonly version: number;
  readonly publishedVersion: number | null;
  readonly definition: WorkflowDefinition;
  readonly criticalPath: readonly string[];
  readonly measuredMs: number;
  readonly replayedMs: number;
  readonly predictedMs: number;
  readonly handoverMs: number;
  /** Runs of before do not say. */
  readonly timeBudgetExhausted?: boolean;
  readonly steps: readonly TunedStep[];
}

export interface OptimizationRow {
  readonly tenantId: string;
  readonly id: string;
  readonly kind: 'system' | 'workflow';
  readonly scope: readonly OptimizationScope[];
  readonly status: OptimizationStatus;
  readonly observed: { readonly from: string; readonly until: string; readonly observations: number };
  readonly bottlenecks: readonly Bottleneck[];
  readonly changes: readonly OptimizationChange[];
  readonly guards: readonly Guard[];
  readonly workflow: WorkflowTuning | null;
  readonly minGain: number;
  readonly expectedGain: number;
  readonly measuredGain: number | null;
  readonly reason: string | null;
  readonly lookAt: string | null;
  readonly judgeAt: string | null;
  readonly appliedAt: string | null;
  readonly endedAt: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
}
