import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { budgetEvents } from '../budgetEvents.ts';
import type { AllocationRow, QuotaRow } from './rows.ts';
import * as store from './store.ts';
import { dimensions, toAmounts, unlimited, type Vector } from './vector.ts';

/** Part of a hard limit at which it is near where no soft one says so: those at which a tenant's nodes are scarce. */
const near = [0.9, 0.85, 0.8, 0.9, 0.9];

/** What of a quota is near its end: above the soft limit, or where there is none, above a part of the hard one. */
const nearOf = ({ hard, soft }: Pick<QuotaRow, 'hard' | 'soft'>): Vector =>
  soft.map((limit, at) => (limit >= unlimited[at]! ? hard[at]! * near[at]! : limit)) as unknown as Vector;

const above = (used: Vector, limit: Vector): readonly string[] =>
  dimensions.filter((_name, at) => used[at]! > limit[at]! * (1 + 1e-9) + 1e-9);

/** Amounts of what is limited. */
const limited = (limit: Vector) =>
  Object.fromEntries(Object.entries(toAmounts(limit)).filter(([, amount]) => amount < unlimited[0] / 2));

const moves: ReadonlySet<string> = new Set([
  ...['allocation.activated', 'allocation.released', 'allocation.expired', 'allocation.preempted', 'quota.changed'],
]);

/**
 * What is to be told of quotas that these events have brought near their end: once, until so much goes back that they no longer are.
 * In the transaction that holds the locks of the quotas already.
 */
export async function noteBudgets(
  tx: SqlTransaction,
  tenantId: string,
  events: readonly NewEvent[],
): Promise<readonly NewEvent[]> {
  const contexts = new Map<string, string | null>();
  const eased = new Set<string>();
  for (const { type, data } of events) {
    if (!moves.has(type)) continue;
    const row = data['allocation'] as AllocationRow | undefined;
    const owner = row?.owner ?? String(data['owner']);
    // Whatever came before it, the last that was granted is what it came near with.
    contexts.set(owner, type === 'allocation.activated' ? row!.contextId : (contexts.get(owner) ?? null));
    if (type !== 'allocation.activated') eased.add(owner);
  }
  if (contexts.size === 0) return [];
  const quotas = await store.findQuotas(tx, tenantId, [...contexts.keys()]);
  const crossed = quotas.filter(
    (quota) =>
      above(quota.used, nearOf(quota)).length > 0 !== quota.warned || (quota.exceeded && eased.has(quota.owner)),
  );
  if (crossed.length === 0) return [];
  const isNear = (quota: QuotaRow) => above(quota.used, nearOf(quota)).length > 0;
  await store.markQuotas(
    tx,
    tenantId,
    crossed.map((quota) => ({
      ...{ owner: quota.owner, warned: isNear(quota), exceeded: quota.exceeded && !eased.has(quota.owner) },
    })),
  );
  return crossed.flatMap((quota) =>
    isNear(quota) && !quota.warned
      ? budgetEvents(tenantId, 'budget.warning', contexts.get(quota.owner) ?? null, {
          ...{ budget: 'quota', owner: quota.owner, resources: above(quota.used, nearOf(quota)) },
          ...{ used: toAmounts(quota.used), limit: limited(nearOf(quota)) },
        })
      : [],
  );
}

export interface Refused {
  readonly owner: string;
  readonly contextId: string | null;
  readonly wanted: Vector;
}

/** What is to be told of a request that its owner's quota does not allow: once, until the owner gives something back. */
export async function noteExceeded(
  tx: SqlTransaction,
  tenantId: string,
  { owner, contextId, wanted }: Refused,
): Promise<readonly NewEvent[]> {
  const [quota] = await store.findQuotas(tx, tenantId, [owner]);
  if (quota === undefined || quota.exceeded) return [];
  const sum = quota.used.map((used, at) => used + wanted[at]!) as unknown as Vector;
  const resources = above(sum, quota.hard);
  if (resources.length === 0 || !(await store.markExceeded(tx, tenantId, owner))) return [];
  return budgetEvents(tenantId, 'budget.exceeded', contextId, {
    ...{ budget: 'quota', owner, resources, used: toAmounts(quota.used) },
    ...{ requested: toAmounts(wanted), limit: limited(quota.hard) },
  });
}
