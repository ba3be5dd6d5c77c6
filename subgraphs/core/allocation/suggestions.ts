import type { Sql } from '#shared/sql.ts';
import { estimateWaits, type Held } from './estimate.ts';
import type { Node, Request } from './scheduler.ts';
import { findEnds, findNodes, findQueue, findQuotas, type PlaceQuery } from './store.ts';
import { fits, scale, subtract, type Vector } from './vector.ts';

/** Something that would be granted in place of what was refused. */
export interface Suggestion {
  /** Less of it, the same where no label or capability is asked for, or the same later. */
  readonly kind: 'smaller' | 'elsewhere' | 'wait';
  readonly wanted: Vector;
  /** Of `wait`: until leases have made room, ms. */
  readonly waitMs: number | null;
  readonly message: string;
}

export interface RefusedRequest extends PlaceQuery {
  readonly owner: string;
  /** 0 critical to 3 low. */
  readonly priority: number;
  readonly leaseMs: number;
}

export interface Refusal {
  readonly request: RefusedRequest;
  readonly nodes: readonly Node[];
  /** What the owner may still hold. */
  readonly allowed: Vector;
  readonly queue: readonly (Request & { readonly leaseMs: number })[];
  readonly held: readonly Held[];
  readonly nowMs: number;
}

const roomOf = ({ capacity, overcommit, used }: Node): Vector => subtract(scale(capacity, overcommit), used);
const least = (one: Vector, two: Vector): Vector =>
  one.map((value, at) => Math.min(value, two[at]!)) as unknown as Vector;
const carries = (node: Node, { capabilities, labels }: PlaceQuery): boolean =>
  capabilities.every((capability) => node.capabilities.includes(capability)) &&
  Object.entries(labels).every(([name, value]) => node.labels[name] === value);

/** The smallest part of any resource asked for that is left of the request. */
function shareOf(given: Vector, wanted: Vector): number {
  return Math.min(...wanted.map((value, at) => (value > 0 ? given[at]! / value : 1)));
}

/**
 * What to ask for instead: the most of the request that a suited node has room for now within the quota; the whole of it where
 * only its affinity or capabilities are in the way; the whole of it later. While others wait, what is smaller waits behind them.
 */
export function suggest({ request, nodes, allowed, queue, held, nowMs }: Refusal): Suggestion[] {
  const { wanted } = request;
  const healthy = nodes.filter((node) => node.healthy);
  const found: Suggestion[] = [];
  const isWithinQuota = fits(wanted, allowed);
  if (isWithinQuota && !healthy.some((node) => carries(node, request) && fits(wanted, roomOf(node))))
    if (healthy.some((node) => fits(wanted, roomOf(node))))
      found.push({
        ...{ kind: 'elsewhere', wanted, waitMs: null },
        message: 'without its affinity and capabilities it would be granted now',
      });
  let best: Vector | null = null;
  let bestShare = 0;
  for (const node of healthy) {
    if (!carries(node, request)) continue;
    const given = least(wanted, least(roomOf(node), allowed));
    const share = shareOf(given, wanted);
    if (share > bestShare) [best, bestShare] = [given, share];
  }
  if (best !== null && bestShare < 1)
    found.push({
      ...{ kind: 'smaller', wanted: best, waitMs: null },
      message: isWithinQuota ? 'as much as a node has room for now' : 'as much as the quota of the owner leaves',
    });
  if (isWithinQuota) {
    const asked = { ...request, id: 'asked', queuedAtMs: nowMs };
    const waitMs = estimateWaits({ nodes, held, nowMs, queue: [...queue, asked] }).get('asked');
    if (waitMs !== undefined)
      found.push({
        ...{ kind: 'wait', wanted, waitMs: Math.ceil(waitMs) },
        message: 'when leases end as they say; ask with queueIfFull, or again then',
      });
  }
  return found;
}

const unbounded: Vector = [Infinity, Infinity, Infinity, Infinity, Infinity];

/** Suggestions by what the tenant's nodes carry at the moment. */
export async function findSuggestions(sql: Sql, tenantId: string, request: RefusedRequest): Promise<Suggestion[]> {
  const [nodes, queue, held, [quota]] = await Promise.all([
    findNodes(sql, tenantId),
    findQueue(sql, tenantId, 5_000),
    findEnds(sql, tenantId),
    findQuotas(sql, tenantId, [request.owner]),
  ]);
  return suggest({
    ...{ request, nodes, held, nowMs: Date.now() },
    allowed: quota ? subtract(quota.hard, quota.used) : unbounded,
    queue: queue.map((row) => ({
      ...{ id: row.id, owner: row.owner, wanted: row.requested, capabilities: row.capabilities, labels: row.labels },
      ...{ priority: row.priority, queuedAtMs: Date.parse(row.queuedAt), leaseMs: row.leaseMs },
    })),
  });
}
