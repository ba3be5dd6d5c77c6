import type { AssignableTask } from './suitability.ts';

/** A task with who does it and how long it takes there. */
export interface AssignedTask extends Pick<AssignableTask, 'id' | 'dependsOn' | 'deadlineHours'> {
  readonly agentId: string;
  readonly hours: number;
}

export interface Placed {
  readonly taskId: string;
  readonly agentId: string;
  /** Hours from now. */
  readonly start: number;
  readonly finish: number;
  /** Hours behind its deadline; 0 without one. */
  readonly lateness: number;
}

export interface Schedule {
  readonly placed: readonly Placed[];
  readonly makespan: number;
  readonly totalLateness: number;
}

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
 * first; each agent does one task at a time.
 */
export function listSchedule(
  tasks: readonly AssignedTask[],
  rankOf: (taskId: string) => number,
  freeFrom: ReadonlyMap<string, number> = new Map(),
): Schedule {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const finishes = new Map<string, number>();
  const free = new Map(freeFrom);
  const left = [...tasks].sort((one, other) => rankOf(other.id) - rankOf(one.id) || (one.id < other.id ? -1 : 1));
  const placed: Placed[] = [];
  while (left.length > 0) {
    // Of the tasks that may begin first, the one of the highest rank.
    let best = -1;
    let bestStart = Number.POSITIVE_INFINITY;
    for (const [at, task] of left.entries()) {
      const needed = task.dependsOn.filter((on) => byId.has(on));
      if (needed.some((on) => !finishes.has(on))) continue;
      const start = Math.max(free.get(task.agentId) ?? 0, ...needed.map((on) => finishes.get(on)!), 0);
      if (start < bestStart) [best, bestStart] = [at, start];
    }
    if (best < 0) throw new Error('the dependencies close a cycle');
    const [task] = left.splice(best, 1) as [AssignedTask];
    const finish = bestStart + task.hours;
    finishes.set(task.id, finish);
    free.set(task.agentId, finish);
    const lateness = task.deadlineHours === null ? 0 : Math.max(0, finish - task.deadlineHours);
    placed.push({ taskId: task.id, agentId: task.agentId, start: bestStart, finish, lateness });
  }
  return {
    placed,
    makespan: Math.max(0, ...placed.map(({ finish }) => finish)),
    totalLateness: placed.reduce((sum, { lateness }) => sum + lateness, 0),
  };
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
              (needs.includes(one.taskId) || one.agentId === here.agentId),
          ) ?? null);
  }
  return chain;
}
