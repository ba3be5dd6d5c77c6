import { findMoves } from '../allocation/rebalance.ts';
import type { AllocationRow } from '../allocation/rows.ts';
import { findNodes, findPreemptible, findQueue } from '../allocation/store.ts';
import { add, dominantShare, scale, zero } from '../allocation/vector.ts';
import type { Finding, Search } from './finding.ts';

export interface PackingSearch extends Search {
  readonly maxMoves: number;
}

/** Requests that wait although there is room enough, on more than one node. Only leases that may be preempted are moved. */
export async function searchPacking({ sql, tenantId, minGain, maxMoves }: PackingSearch): Promise<Finding> {
  const [nodes, queue, movable] = await Promise.all([
    findNodes(sql, tenantId),
    findQueue(sql, tenantId, 100),
    findPreemptible(sql, tenantId),
  ]);
  if (queue.length === 0) return { observations: 0, bottlenecks: [], changes: [] };
  const nowMs = Date.now();
  const toRequest = (row: AllocationRow) => ({
    ...{ id: row.id, owner: row.owner, wanted: row.requested, capabilities: row.capabilities, labels: row.labels },
    ...{ priority: row.priority, queuedAtMs: Date.parse(row.queuedAt) },
  });
  const { moves, admitted } = findMoves({
    nodes,
    queue: queue.toSorted((one, two) => one.priority - two.priority).map(toRequest),
    movable: movable.map((row) => ({
      ...toRequest(row),
      ...{ nodeId: row.nodeId!, preemptible: true, allocatedAtMs: Date.parse(row.allocatedAt!) },
    })),
    ...{ maxMoves, nowMs },
  });
  const total = nodes.reduce((sum, { capacity, overcommit }) => add(sum, scale(capacity, overcommit)), zero);
  const used = nodes.reduce((sum, node) => add(sum, node.used), zero);
  const waitMs = queue.reduce((sum, { queuedAt }) => sum + nowMs - Date.parse(queuedAt), 0) / queue.length;
  const predictedGain = admitted.length / queue.length;
  const guard = { target: null, after: null, breached: null, count: queue.length, variance: 0 };
  return {
    observations: queue.length,
    bottlenecks: [
      {
        ...{ resource: 'allocation.nodes', targetId: null, utilization: dominantShare(used, total) },
        ...{ saturation: queue.length, errors: 0, meanWaitMs: waitMs, meanServiceMs: 0, blame: 1 },
      },
    ],
    changes:
      moves.length === 0 || predictedGain < minGain
        ? []
        : moves.map(({ allocationId, from, to }) => ({
            change: {
              ...{ knob: 'allocation.node', target: allocationId, from, to, model: 'vector packing' },
              ...{ predictedGain, measuredGain: null, before: { count: queue.length, waitMs, serviceMs: 0 } },
              reason: `${admitted.length} of ${queue.length} requests that wait fit after ${moves.length} moves`,
            },
            guards: [{ ...guard, metric: 'allocation.queue', before: queue.length, limit: queue.length }],
          })),
  };
}
