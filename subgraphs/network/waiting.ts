import type { ConnectionStatusValue, NetworkConnectionRow, PathMetrics } from './rows.ts';

/** What a connection may wait as: for room, for what it found to be reserved, for a way in place of one that is gone. */
export const waitingStatuses: readonly ConnectionStatusValue[] = ['requested', 'establishing', 'rerouting'];

/** A connection that waits is open, and holds neither links nor ends nor bandwidth. */
export const isWaiting = ({ waitUntil }: Pick<NetworkConnectionRow, 'waitUntil'>): boolean => waitUntil !== null;

/** Of connections `c`: those that are open and hold what they asked for. */
export const holdsClause = 'c.closed_at IS NULL AND c.wait_until IS NULL';

const noMetrics: PathMetrics = {
  ...{ latencyMs: 0, jitterMs: 0, lossRate: 0, reliability: 1, hops: 0, costPerGb: 0, energyPerGb: 0 },
};

/** The ways of a connection that has none. */
export const noWays = {
  ...{ linkIds: [], nodeIds: [], backupLinkIds: [], backupNodeIds: [], backupReserved: false },
  ...{ furtherBackups: [], predicted: noMetrics },
} satisfies Partial<NetworkConnectionRow>;

/** Where a status may lead; nothing leads out of an end. */
const moves: Readonly<Record<ConnectionStatusValue, readonly ConnectionStatusValue[]>> = {
  requested: ['establishing', 'failed', 'closed'],
  establishing: ['established', 'failed', 'closed'],
  established: ['degraded', 'rerouting', 'failed', 'closed'],
  degraded: ['established', 'rerouting', 'failed', 'closed'],
  rerouting: ['established', 'degraded', 'failed', 'closed'],
  failed: [],
  closed: [],
};

export const mayMove = (from: ConnectionStatusValue, to: ConnectionStatusValue): boolean => moves[from].includes(to);
