import { type Interval, overloads } from './conflict/index.ts';
import type { ResourceAllocation, ResourceRow } from './conflictRows.ts';

const toInterval = ({ id, start, end }: ResourceAllocation, amount: number): Interval => ({
  id,
  start: Date.parse(start),
  end: Date.parse(end),
  amount,
});

/** The most that others hold at once while the interval lasts. */
function heldDuring(resource: Pick<ResourceRow, 'allocations'>, { id, start, end }: ResourceAllocation): number {
  const [from, to] = [Date.parse(start), Date.parse(end)];
  const others = resource.allocations
    .filter((one) => one.id !== id && one.status === 'granted')
    .map((one) => toInterval(one, one.granted))
    .map((one) => ({ ...one, start: Math.max(one.start, from), end: Math.min(one.end, to) }));
  return Math.max(0, ...overloads(others, 0).map(({ peak }) => peak));
}

/** What the allocation could have without ever taking more than there is. */
export const roomFor = (resource: ResourceRow, allocation: ResourceAllocation): number =>
  Math.max(0, resource.capacity - heldDuring(resource, allocation));

/** Times in which more is asked for, and held, than there is. */
export function findOverloads(resource: ResourceRow) {
  const asked = resource.allocations
    .filter(({ status }) => status !== 'released')
    .map((one) => toInterval(one, one.status === 'granted' ? one.granted : one.amount));
  return overloads(asked, resource.capacity);
}

/** Gives to those that wait what has become free: the higher priority first, then the earlier; all or nothing. */
export function grantWaiting(resource: ResourceRow): ResourceRow {
  let current = resource;
  const waiting = resource.allocations
    .filter(({ status }) => status === 'waiting')
    .sort((one, other) => other.priority - one.priority || (one.start < other.start ? -1 : 1));
  for (const one of waiting) {
    if (roomFor(current, one) < one.amount * (1 - 1e-9)) continue;
    current = {
      ...current,
      allocations: current.allocations.map((entry) =>
        entry.id === one.id ? { ...entry, status: 'granted', granted: entry.amount } : entry,
      ),
    };
  }
  return current;
}
