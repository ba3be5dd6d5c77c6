import type { Slice } from './conflict/index.ts';

export interface ConflictClaim {
  readonly participantId: string;
  readonly amount: number;
  readonly weight: number;
  readonly priority: number;
  /** Allocation, task or objective that it comes from. */
  readonly reference: string | null;
}

export interface ConflictResolution {
  readonly strategy: 'fair_share' | 'priority' | 'time_slicing' | 'bargaining' | 'arbitration';
  /** By participant. */
  readonly shares: Readonly<Record<string, number>>;
  readonly slices: readonly Slice[];
  readonly proposal: string | null;
  /** What those are given who get less than they asked for. */
  readonly compensation: string | null;
  readonly rationale: string;
  readonly resolvedBy: string;
}

export interface ConflictRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly type: 'resource_allocation' | 'task_overlap' | 'objective' | 'priority' | 'data_write' | 'cyclic_wait';
  readonly severity: 'low' | 'medium' | 'high' | 'critical';
  /** 1 mediation, 2 arbitration by an expert, 3 people. */
  readonly level: number;
  readonly status: 'detected' | 'proposed' | 'resolved' | 'dismissed';
  readonly description: string;
  readonly subject: string;
  readonly participants: readonly string[];
  readonly claims: readonly ConflictClaim[];
  readonly resolution: ConflictResolution | null;
  readonly agreements: readonly string[];
  readonly raisedBy: string;
  readonly levelDueAt: string | null;
  readonly resolvedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
}

export interface ResourceAllocation {
  readonly id: string;
  readonly participantId: string;
  readonly amount: number;
  readonly start: string;
  readonly end: string;
  readonly priority: number;
  /** What it holds; less than the amount after a conflict was settled, 0 while it waits. */
  readonly granted: number;
  readonly status: 'granted' | 'waiting' | 'released';
}

export interface ResourceRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly name: string;
  readonly unit: string | null;
  readonly capacity: number;
  readonly allocations: readonly ResourceAllocation[];
  readonly version: number;
  readonly createdAt: string;
}

/** What the participants of a conflict hold of its resource. */
export function heldBy({ allocations }: ResourceRow, { claims }: ConflictRow): ReadonlyMap<string, number> {
  const held = new Map<string, number>();
  for (const { participantId, granted, id } of allocations)
    if (claims.some(({ reference }) => reference?.includes(id) === true))
      held.set(participantId, (held.get(participantId) ?? 0) + granted);
  return held;
}
