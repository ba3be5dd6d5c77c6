import type { Sql } from '#shared/sql.ts';
import { estimateWaits, type WaitSituation } from './estimate.ts';
import { readWaitSituation } from './lists.ts';
import { isOfKind, roomOf } from './scheduler.ts';
import { findQuotas, type PlaceQuery } from './store.ts';
import { fits, subtract, unlimited, type Vector } from './vector.ts';

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
  /** What the owner may still hold. */
  readonly allowed: Vector;
  readonly situation: WaitSituation;
}

const least = (one: Vector, two: Vector): Vector =>
  one.map((value, at) => Math.min(value, two[at]!)) as unknown as Vector;

/** The smallest part of any resource asked for that is left of the request. */
function shareOf(given: Vector, wanted: Vector): number {
  return Math.min(...wanted.map((value, at) => (value > 0 ? given[at]! / value : 1)));
}

/**
 * What to ask for instead: the most of the request that a suited node has room for now within the quota; the whole of it where
 * only its affinity or capabilities are in the way; the whole of it later. While others wait, what is smaller waits behind them.
 */
export function suggest({ request, allowed, situation }: Refusal): Suggestion[] {
  const { wanted } = request;
  const healthy = situation.nodes.filter((node) => node.healthy);
  const found: Suggestion[] = [];
  const isWithinQuota = fits(wanted, allowed);
  const roomy = healthy.filter((node) => fits(wanted, roomOf(node)));
  if (isWithinQuota && roomy.length > 0 && !roomy.some((node) => isOfKind(node, request)))
    found.push({
      ...{ kind: 'elsewhere', wanted, waitMs: null },
      message: 'without its affinity and capabilities it would be granted now',
    });
  let best: Vector | null = null;
  let bestShare = 0;
  for (const node of healthy) {
    if (!isOfKind(node, request)) continue;
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
    const asked = { ...request, id: 'asked', queuedAtMs: situation.nowMs };
    const waitMs = estimateWaits({ ...situation, queue: [...situation.queue, asked] }).get('asked');
    if (waitMs !== undefined)
      found.push({
        ...{ kind: 'wait', wanted, waitMs: Math.ceil(waitMs) },
        message: 'when leases end as they say; ask with queueIfFull, or again then',
      });
  }
  return found;
}

/** Suggestions by what the tenant's nodes carry at the moment. */
export async function findSuggestions(sql: Sql, tenantId: string, request: RefusedRequest): Promise<Suggestion[]> {
  const [situation, [quota]] = await Promise.all([
    readWaitSituation(sql, tenantId),
    findQuotas(sql, tenantId, [request.owner]),
  ]);
  return suggest({ request, situation, allowed: quota ? subtract(quota.hard, quota.used) : unlimited });
}
