import type { Attributes } from '#shared/conditions/facts.ts';
import type { TaskOrder } from './method.ts';

export interface Task {
  readonly name: string;
  readonly arguments: Attributes;
  /** 0 for an objective. */
  readonly depth: number;
  /** Index of the objective that it serves. */
  readonly objective: number;
  /** The same for tasks with the same prospects. */
  readonly key: string;
}

/** Tasks still to be done, series-parallel and immutable: changes share what they leave alone. */
export type TaskNetwork =
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'series'; readonly head: TaskNetwork; readonly tail: TaskNetwork }
  | { readonly kind: 'parallel'; readonly parts: readonly TaskNetwork[] };

export function createTask(
  name: string,
  given: Attributes,
  place: { readonly depth: number; readonly objective: number },
): Task {
  return { name, arguments: given, ...place, key: JSON.stringify([name, given, place.depth]) };
}

/** Null where there is nothing to do. */
export function toNetwork(tasks: readonly Task[], order: TaskOrder): TaskNetwork | null {
  const parts = tasks.map((task): TaskNetwork => ({ kind: 'task', task }));
  if (order === 'UNORDERED') return parts.length > 1 ? { kind: 'parallel', parts } : (parts[0] ?? null);
  return parts.reduceRight<TaskNetwork | null>((tail, head) => inSeries(head, tail), null);
}

function inSeries(head: TaskNetwork | null, tail: TaskNetwork | null): TaskNetwork | null {
  return head && tail ? { kind: 'series', head, tail } : (head ?? tail);
}

export interface OpenTask {
  readonly task: Task;
  /** The network with something else in the task's place. */
  readonly replace: (by: TaskNetwork | null) => TaskNetwork | null;
}

type Rebuild = (by: TaskNetwork | null) => TaskNetwork | null;

/** Tasks that nothing has to be done before, in the order given. */
export function* openTasks(network: TaskNetwork, rebuild: Rebuild = (by) => by): Generator<OpenTask> {
  switch (network.kind) {
    case 'task':
      yield { task: network.task, replace: rebuild };
      return;
    case 'series':
      yield* openTasks(network.head, (by) => rebuild(inSeries(by, network.tail)));
      return;
    case 'parallel':
      for (const [at, part] of network.parts.entries())
        yield* openTasks(part, (by) => rebuild(withPart(network.parts, at, by)));
      return;
    default:
      network satisfies never;
  }
}

function withPart(parts: readonly TaskNetwork[], at: number, by: TaskNetwork | null): TaskNetwork | null {
  const kept = by === null ? parts.toSpliced(at, 1) : parts.with(at, by);
  return kept.length > 1 ? { kind: 'parallel', parts: kept } : (kept[0] ?? null);
}

/** The same for networks that can be carried out from the same facts. */
export function keyOf(network: TaskNetwork): string {
  const keys: string[] = [];
  let at = network;
  for (; at.kind === 'series'; at = at.tail) keys.push(keyOf(at.head));
  keys.push(at.kind === 'task' ? at.task.key : `{${at.parts.map(keyOf).sort().join()}}`);
  return keys.length === 1 ? keys[0]! : `<${keys.join()}>`;
}
