import { createIntegerHeap, type IntegerHeap } from '#shared/integerHeap.ts';

/** Tasks that are ready, by who does them; tasks are numbered in the order of their ranks, the highest first. */
export interface AgentQueues {
  /** From this hour on a task may be done. */
  add(place: number, readyAt: number): void;
  /** The task that begins first, of several that of the highest rank; null where none is ready. */
  take(): { readonly place: number; readonly start: number } | null;
  /** Who does this task is busy until then. */
  occupy(place: number, until: number): void;
}

interface Queue {
  free: number;
  /** May begin as soon as its agent is free, the highest rank first. */
  readonly able: IntegerHeap;
  /** Is not ready before its agent is free, the earliest first. */
  readonly early: IntegerHeap;
}

export function createQueues(tasks: readonly { readonly agentId: string }[]): AgentQueues {
  const readyAt = new Float64Array(tasks.length);
  const byRank = (left: number, right: number) => left - right;
  const byTime = (left: number, right: number) => readyAt[left]! - readyAt[right]! || left - right;
  const queues = new Map<string, Queue>();
  const queueOf = tasks.map(({ agentId }) => {
    const known = queues.get(agentId);
    if (known !== undefined) return known;
    const queue = { free: 0, able: createIntegerHeap(byRank), early: createIntegerHeap(byTime) };
    queues.set(agentId, queue);
    return queue;
  });
  // The first of each queue as it was noted; what is no longer the first of its queue is passed over.
  const starts: number[] = [];
  const places: number[] = [];
  const noted = createIntegerHeap(
    (left, right) => starts[left]! - starts[right]! || places[left]! - places[right]! || left - right,
  );

  function firstOf({ free, able, early }: Queue): { place: number; start: number } | null {
    for (let place = early.peek(); place !== undefined && readyAt[place]! <= free; place = early.peek())
      able.push(early.pop()!);
    const now = able.peek();
    if (now !== undefined) return { place: now, start: free };
    const later = early.peek();
    return later === undefined ? null : { place: later, start: readyAt[later]! };
  }

  function note(queue: Queue): void {
    const first = firstOf(queue);
    if (first === null) return;
    const entry = starts.push(first.start) - 1;
    places.push(first.place);
    noted.push(entry);
  }

  return {
    add(place, from) {
      const queue = queueOf[place]!;
      readyAt[place] = from;
      (from <= queue.free ? queue.able : queue.early).push(place);
      note(queue);
    },
    take() {
      for (let entry = noted.pop(); entry !== undefined; entry = noted.pop()) {
        const queue = queueOf[places[entry]!]!;
        const first = firstOf(queue);
        if (first === null || first.place !== places[entry] || first.start !== starts[entry]) continue;
        (queue.able.peek() === first.place ? queue.able : queue.early).pop();
        return first;
      }
      return null;
    },
    occupy(place, until) {
      const queue = queueOf[place]!;
      queue.free = until;
      note(queue);
    },
  };
}
