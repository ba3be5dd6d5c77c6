import { type AssignedTask, heldBy, type Placed, type Schedule } from './assignedTask.ts';
import { scheduleCrews } from './crewSchedule.ts';
import { createQueues } from './queues.ts';

export { type AssignedTask, crewOf, type Placed, type Schedule } from './assignedTask.ts';

/** Order in which tasks may be done; null where their dependencies close a cycle. Dependencies elsewhere are met. */
export function topologicalOrder<Task extends { readonly id: string; readonly dependsOn: readonly string[] }>(
  tasks: readonly Task[],
): readonly Task[] | null {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const open = new Map(tasks.map(({ id, dependsOn }) => [id, new Set(dependsOn.filter((on) => byId.has(on)))]));
  const followers = Map.groupBy(
    tasks.flatMap(({ id, dependsOn }) => dependsOn.map((on) => ({ on, id }))),
    ({ on }) => on,
  );
  const ready = tasks.filter(({ id }) => open.get(id)!.size === 0);
  const order: Task[] = [];
  for (let task = ready.shift(); task !== undefined; task = ready.shift()) {
    order.push(task);
    for (const { id } of followers.get(task.id) ?? []) {
      const left = open.get(id)!;
      if (left.delete(task.id) && left.size === 0) ready.push(byId.get(id)!);
    }
  }
  return order.length === tasks.length ? order : null;
}

/** Hours from the start of each task to the end of all that hangs on it. */
export function tails(tasks: readonly AssignedTask[], order: readonly AssignedTask[]): ReadonlyMap<string, number> {
  const tail = new Map<string, number>();
  const followers = Map.groupBy(
    tasks.flatMap(({ id, dependsOn }) => dependsOn.map((on) => ({ on, id }))),
    ({ on }) => on,
  );
  for (const { id, hours } of [...order].reverse())
    tail.set(id, hours + Math.max(0, ...(followers.get(id) ?? []).map((next) => tail.get(next.id)!)));
  return tail;
}

/**
 * List scheduling (Graham 1966): whoever is free does the first of its ready tasks in the order of their ranks, the highest
 * first; each agent does one task at a time. Tasks are placed in the order in which they begin, found by heaps; where teams
 * do some, `scheduleCrews`.
 * @throws {Error} where the dependencies close a cycle
 */
export function listSchedule(tasks: readonly AssignedTask[], rankOf: (taskId: string) => number): Schedule {
  if (tasks.some((task) => heldBy(task).length > 1)) return scheduleCrews(tasks, rankOf);
  const ranks = new Map(tasks.map(({ id }) => [id, rankOf(id)]));
  const order = [...tasks].sort(
    (one, other) => ranks.get(other.id)! - ranks.get(one.id)! || (one.id < other.id ? -1 : 1),
  );
  const places = new Map(order.map(({ id }, place) => [id, place]));
  const queues = createQueues(order);
  const missing = new Int32Array(order.length);
  const readyAt = new Float64Array(order.length);
  const followers: number[][] = order.map(() => []);
  for (const [place, { dependsOn }] of order.entries())
    for (const on of dependsOn) {
      const needed = places.get(on);
      if (needed === undefined) continue;
      followers[needed]!.push(place);
      missing[place]! += 1;
    }
  for (const place of order.keys()) if (missing[place] === 0) queues.add(place, 0);
  const placed: Placed[] = [];
  let makespan = 0;
  let totalLateness = 0;
  for (let next = queues.take(); next !== null; next = queues.take()) {
    const { id, agentId, hours, deadlineHours } = order[next.place]!;
    const finish = next.start + hours;
    queues.occupy(next.place, finish);
    for (const follower of followers[next.place]!) {
      readyAt[follower] = Math.max(readyAt[follower]!, finish);
      missing[follower]! -= 1;
      if (missing[follower] === 0) queues.add(follower, readyAt[follower]!);
    }
    const lateness = deadlineHours === null ? 0 : Math.max(0, finish - deadlineHours);
    placed.push({ taskId: id, agentId, start: next.start, finish, lateness });
    makespan = Math.max(makespan, finish);
    totalLateness += lateness;
  }
  if (placed.length < tasks.length) throw new Error('the dependencies close a cycle');
  return { placed, makespan, totalLateness };
}

/** The chain of tasks, each begun when the one before it (that it needs or that held its agent) ended, that ends last. */
export function criticalChain({ placed }: Schedule, tasks: readonly AssignedTask[]): readonly string[] {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const last = placed.reduce<Placed | null>(
    (best, one) => (best === null || one.finish > best.finish ? one : best),
    null,
  );
  const chain: string[] = [];
  for (let at = last; at !== null; ) {
    const here: Placed = at;
    chain.unshift(here.taskId);
    const needs = byId.get(here.taskId)!.dependsOn;
    at =
      here.start === 0
        ? null
        : (placed.find(
            (one) =>
              one.finish === here.start &&
              one.taskId !== here.taskId &&
              (needs.includes(one.taskId) ||
                heldBy(byId.get(one.taskId)!).some((id) => heldBy(byId.get(here.taskId)!).includes(id))),
          ) ?? null);
  }
  return chain;
}
