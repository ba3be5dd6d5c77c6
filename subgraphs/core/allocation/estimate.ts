import { isSuited, type Node, type Request } from './scheduler.ts';
import { add, fits, scale, subtract, type Vector } from './vector.ts';

export interface Held {
  readonly nodeId: string;
  readonly wanted: Vector;
  readonly expiresAtMs: number;
}

export interface WaitSituation {
  readonly nodes: readonly Node[];
  /** Those that wait, with how long each would hold its room. */
  readonly queue: readonly (Request & { readonly leaseMs: number })[];
  readonly held: readonly Held[];
  readonly nowMs: number;
}

const mostEnds = 20_000;

/**
 * How long requests wait if each lease ends when it says and nobody renews: the ends in their order, each room given to the
 * first that fits there, by class and age. Missing are those that no end of a lease makes room for.
 */
export function estimateWaits({ nodes, queue, held, nowMs }: WaitSituation): ReadonlyMap<string, number> {
  const room = new Map(
    nodes.map(({ id, capacity, overcommit, used }) => [id, subtract(scale(capacity, overcommit), used)]),
  );
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const waiting = queue.toSorted((one, two) => one.priority - two.priority || one.queuedAtMs - two.queuedAtMs);
  const waits = new Map<string, number>();
  // The next end last, so that it is popped.
  const ends = held.toSorted((one, two) => two.expiresAtMs - one.expiresAtMs);
  for (let count = 0; waiting.length > 0 && ends.length > 0 && count < mostEnds; count += 1) {
    const { nodeId, wanted, expiresAtMs } = ends.pop()!;
    const node = byId.get(nodeId);
    if (!node) continue;
    room.set(nodeId, add(room.get(nodeId)!, wanted));
    for (let at = 0; at < waiting.length; ) {
      const request = waiting[at]!;
      const left = room.get(nodeId)!;
      if (!node.healthy || !isSuited(node, request) || !fits(request.wanted, left)) {
        at += 1;
        continue;
      }
      waiting.splice(at, 1);
      room.set(nodeId, subtract(left, request.wanted));
      const atMs = Math.max(nowMs, expiresAtMs);
      waits.set(request.id, atMs - nowMs);
      const end = { nodeId, wanted: request.wanted, expiresAtMs: atMs + request.leaseMs };
      let place = ends.length;
      while (place > 0 && ends[place - 1]!.expiresAtMs < end.expiresAtMs) place -= 1;
      ends.splice(place, 0, end);
    }
  }
  return waits;
}
