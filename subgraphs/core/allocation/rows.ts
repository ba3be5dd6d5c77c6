import type { Vector } from './vector.ts';

export type AllocationStatus = 'queued' | 'active' | 'released' | 'expired' | 'preempted' | 'failed';

export interface AllocationRow {
  readonly tenantId: string;
  readonly id: string;
  readonly owner: string;
  readonly contextId: string | null;
  readonly type: string;
  readonly purpose: string | null;
  readonly requested: Vector;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly preemptible: boolean;
  readonly status: AllocationStatus;
  readonly reason: string | null;
  readonly nodeId: string | null;
  readonly leaseEpoch: number;
  readonly leaseMs: number;
  readonly queuedAt: string;
  readonly allocatedAt: string | null;
  readonly expiresAt: string | null;
  readonly endedAt: string | null;
  readonly createdBy: string;
  /** Step of an execution that holds it; null where somebody asked for it. */
  readonly executionId: string | null;
  readonly stepId: string | null;
  /** As the holder told it; null where it told nothing. */
  readonly usage: AllocationUsage | null;
}

export interface AllocationUsage {
  readonly current: Vector;
  readonly peak: Vector;
  /** Over the time of the lease. */
  readonly average: Vector;
  readonly reportedAt: string;
}

/** Before anybody holds it. */
export type NewAllocation = Omit<AllocationRow, 'usage'>;

export interface NodeRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  readonly capacity: Vector;
  readonly used: Vector;
  readonly overcommit: number;
  readonly healthy: boolean;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
}

export interface QuotaRow {
  readonly owner: string;
  readonly hard: Vector;
  readonly soft: Vector;
  readonly weight: number;
  readonly used: Vector;
  /** Whether it was told that it is near its end, and that a request would have passed it. */
  readonly warned: boolean;
  readonly exceeded: boolean;
}
