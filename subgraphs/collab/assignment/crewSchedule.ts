import { type AssignedTask, heldBy, type Placed, type Schedule } from './assignedTask.ts';

const latenessWeight = 10;

/**
 * Schedules tasks that several do together: each of them is busy from its start to its end. The better of two is taken: what
 * begins first comes first, of several the highest rank (parallel list scheduling), under which a team waits for as long as
 * any of it finds something to do; and the highest rank first, whenever it can begin (serial; Kolisch 1996).
 * @throws {Error} where the dependencies close a cycle
 */
export function scheduleCrews(tasks: readonly AssignedTask[], rankOf: (taskId: string) => number): Schedule {
  const ranks = new Map(tasks.map(({ id }) => [id, rankOf(id)]));
  const order = [...tasks].sort(
    (one, other) => ranks.get(other.id)! - ranks.get(one.id)! || (one.id < other.id ? -1 : 1),
  );
  const [parallel, serial] = [place(order, 'first to begin'), place(order, 'first in rank')];
  return costOf(serial) < costOf(parallel) ? serial : parallel;
}

const costOf = ({ makespan, totalLateness }: Schedule): number => makespan + latenessWeight * totalLateness;

function place(order: readonly AssignedTask[], next: 'first to begin' | 'first in rank'): Schedule {
  const places = new Map(order.map(({ id }, at) => [id, at]));
  const crews = order.map(heldBy);
  const followers: number[][] = order.map(() => []);
  const missing = new Int32Array(order.length);
  const readyAt = new Float64Array(order.length);
  for (const [at, { dependsOn }] of order.entries())
    for (const on of dependsOn) {
      const needed = places.get(on);
      if (needed === undefined) continue;
      followers[needed]!.push(at);
      missing[at]! += 1;
    }
  const ready = new Set([...order.keys()].filter((at) => missing[at] === 0));
  const free = new Map<string, number>();
  const placed: Placed[] = [];
  let makespan = 0;
  let totalLateness = 0;
  while (ready.size > 0) {
    let [chosen, start] = [-1, Number.POSITIVE_INFINITY];
    for (const at of ready) {
      if (next === 'first in rank' && chosen !== -1 && at > chosen) continue;
      const from = crews[at]!.reduce((latest, id) => Math.max(latest, free.get(id) ?? 0), readyAt[at]!);
      if (next === 'first in rank' || from < start || (from === start && at < chosen)) [chosen, start] = [at, from];
    }
    ready.delete(chosen);
    const { id, agentId, helperIds = [], hours, deadlineHours } = order[chosen]!;
    const finish = start + hours;
    for (const busy of crews[chosen]!) free.set(busy, finish);
    for (const follower of followers[chosen]!) {
      readyAt[follower] = Math.max(readyAt[follower]!, finish);
      missing[follower]! -= 1;
      if (missing[follower] === 0) ready.add(follower);
    }
    const lateness = deadlineHours === null ? 0 : Math.max(0, finish - deadlineHours);
    placed.push({ taskId: id, agentId, helperIds, start, finish, lateness });
    makespan = Math.max(makespan, finish);
    totalLateness += lateness;
  }
  if (placed.length < order.length) throw new Error('the dependencies close a cycle');
  return { placed, makespan, totalLateness };
}
