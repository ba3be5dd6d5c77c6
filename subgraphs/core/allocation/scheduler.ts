import type { AllocationRow } from './rows.ts';
import { add, dominantShare, fits, scale, subtract, type Vector, zero } from './vector.ts';

export interface Node {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  readonly capacity: Vector;
  readonly used: Vector;
  readonly overcommit: number;
  readonly healthy: boolean;
}

export interface Request {
  readonly id: string;
  readonly owner: string;
  readonly wanted: Vector;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** 0 critical to 3 low. */
  readonly priority: number;
  readonly queuedAtMs: number;
}

export interface Active extends Request {
  readonly nodeId: string;
  readonly preemptible: boolean;
  readonly allocatedAtMs: number;
}

export interface Owner {
  readonly used: Vector;
  readonly hard: Vector;
  readonly weight: number;
}

export interface Situation {
  readonly nodes: readonly Node[];
  readonly queue: readonly Request[];
  readonly active: readonly Active[];
  readonly owners: ReadonlyMap<string, Owner>;
  readonly nowMs: number;
  /** A request rises by one class for each such time it has waited: nobody waits for ever. */
  readonly ageingMs: number;
}

export type Step =
  | { readonly kind: 'allocate'; readonly requestId: string; readonly nodeId: string }
  | { readonly kind: 'preempt'; readonly allocationId: string; readonly for: string };

const nobody: Owner = { used: zero, hard: [1e15, 1e15, 1e15, 1e15, 1e15], weight: 1 };

/** What is left of a node. */
export const roomOf = ({ capacity, used, overcommit }: Pick<Node, 'capacity' | 'used' | 'overcommit'>): Vector =>
  subtract(scale(capacity, overcommit), used);

/** An allocation as what it asks for. */
export function toRequest(row: AllocationRow): Request & { readonly leaseMs: number } {
  const { id, owner, requested: wanted, capabilities, labels, priority, leaseMs } = row;
  return { id, owner, wanted, capabilities, labels, priority, leaseMs, queuedAtMs: Date.parse(row.queuedAt) };
}

/** Whether a node is of the kind asked for. */
export const isOfKind = (node: Node, { capabilities, labels }: Pick<Request, 'capabilities' | 'labels'>): boolean =>
  capabilities.every((capability) => node.capabilities.includes(capability)) &&
  Object.entries(labels).every(([name, value]) => node.labels[name] === value);

/** Whether a node may carry a request at all, whatever it carries now. */
export function isSuited(node: Node, request: Request): boolean {
  return fits(request.wanted, scale(node.capacity, node.overcommit)) && isOfKind(node, request);
}

/** Filter, then score: of the healthy nodes with room the one that is fullest afterwards (best fit by dominant share). */
export function choosePlace(nodes: readonly Node[], request: Request): Node | null {
  let best: Node | null = null;
  let bestScore = -1;
  for (const node of nodes) {
    if (!node.healthy || !isSuited(node, request) || !fits(request.wanted, roomOf(node))) continue;
    const score = dominantShare(add(node.used, request.wanted), scale(node.capacity, node.overcommit));
    if (score > bestScore) [best, bestScore] = [node, score];
  }
  return best;
}

/** The class a request has by now. */
export const agedPriority = ({ priority, queuedAtMs }: Request, nowMs: number, ageingMs: number): number =>
  priority - Math.floor(Math.max(0, nowMs - queuedAtMs) / ageingMs);

/**
 * What a pass over the queue does. Classes are strict, with ageing. Within one the next is always the owner with the
 * smallest weighted dominant share (progressive filling of DRF, Ghodsi et al. 2011), of an owner the oldest request.
 * A request that has waited longest in the first class and does not fit holds its room: nothing later takes it, so that
 * small requests never starve a large one. Only lower classes are preempted, and only what makes a request fit.
 */
export function schedule({ nodes, queue, active, owners, nowMs, ageingMs }: Situation): readonly Step[] {
  const steps: Step[] = [];
  const state = nodes.map((node) => ({ ...node }));
  const total = state.reduce<Vector>(
    (sum, { capacity, overcommit, healthy }) => (healthy ? add(sum, scale(capacity, overcommit)) : sum),
    zero,
  );
  const used = new Map([...owners].map(([owner, { used: held }]) => [owner, held]));
  const ownerOf = (owner: string) => owners.get(owner) ?? nobody;
  const holds = [...active];
  const waiting = queue.map((request) => ({ request, rank: agedPriority(request, nowMs, ageingMs) }));
  const reserved = new Set<string>();
  while (waiting.length > 0) {
    const first = Math.min(...waiting.map(({ rank }) => rank));
    const shareOf = (owner: string) => dominantShare(used.get(owner) ?? zero, total) / ownerOf(owner).weight;
    let next = waiting[0]!;
    let nextShare = Number.POSITIVE_INFINITY;
    for (const entry of waiting) {
      if (entry.rank !== first) continue;
      const share = shareOf(entry.request.owner);
      if (share < nextShare || (share === nextShare && entry.request.queuedAtMs < next.request.queuedAtMs))
        [next, nextShare] = [entry, share];
    }
    waiting.splice(waiting.indexOf(next), 1);
    const { request, rank } = next;
    const held = used.get(request.owner) ?? zero;
    if (!fits(add(held, request.wanted), ownerOf(request.owner).hard)) continue;
    let place: Node | null = choosePlace(
      state.filter(({ id }) => !reserved.has(id)),
      request,
    );
    if (!place) {
      const found = chooseVictims(
        state.filter(({ id }) => !reserved.has(id)),
        holds,
        request,
        { rank, nowMs, total },
      );
      if (found) {
        for (const victim of found.victims) {
          steps.push({ kind: 'preempt', allocationId: victim.id, for: request.id });
          holds.splice(holds.indexOf(victim), 1);
          const node = state.find(({ id }) => id === victim.nodeId)!;
          Object.assign(node, { used: subtract(node.used, victim.wanted) });
          used.set(victim.owner, subtract(used.get(victim.owner) ?? zero, victim.wanted));
        }
        place = found.node;
      }
    }
    if (!place) {
      // It has waited through all classes: the node that comes nearest is kept for it.
      const kept =
        rank < 0
          ? nearest(
              state.filter(({ id }) => !reserved.has(id)),
              request,
            )
          : null;
      if (kept) reserved.add(kept.id);
      continue;
    }
    const node = state.find(({ id }) => id === place.id)!;
    Object.assign(node, { used: add(node.used, request.wanted) });
    used.set(request.owner, add(held, request.wanted));
    steps.push({ kind: 'allocate', requestId: request.id, nodeId: node.id });
  }
  return steps;
}

function nearest(nodes: readonly Node[], request: Request): Node | null {
  const suited = nodes.filter((node) => node.healthy && isSuited(node, request));
  const missing = (node: Node) => dominantShare(subtract(request.wanted, roomOf(node)), node.capacity);
  return suited.toSorted((one, two) => missing(one) - missing(two))[0] ?? null;
}

interface Victims {
  readonly node: Node;
  readonly victims: readonly Active[];
}

/** What has to go so that a request fits, with the least work lost: time held times dominant share. */
function chooseVictims(
  nodes: readonly Node[],
  active: readonly Active[],
  request: Request,
  { rank, nowMs, total }: { readonly rank: number; readonly nowMs: number; readonly total: Vector },
): Victims | null {
  const lost = (one: Active) => (nowMs - one.allocatedAtMs + 1) * dominantShare(one.wanted, total);
  let best: (Victims & { readonly cost: number }) | null = null;
  // Ageing lets a request be served first, not throw out its own class.
  const below = Math.max(rank, request.priority);
  for (const node of nodes) {
    if (!node.healthy || !isSuited(node, request)) continue;
    const lower = active
      .filter(({ nodeId, preemptible, priority }) => nodeId === node.id && preemptible && priority > below)
      .toSorted((one, two) => two.priority - one.priority || lost(one) - lost(two));
    let room = roomOf(node);
    const chosen: Active[] = [];
    for (const one of lower) {
      if (fits(request.wanted, room)) break;
      room = add(room, one.wanted);
      chosen.push(one);
    }
    if (!fits(request.wanted, room)) continue;
    // Those that turn out not to be needed stay, the dearest first.
    for (const one of chosen.toSorted((a, b) => lost(b) - lost(a))) {
      if (!fits(request.wanted, subtract(room, one.wanted))) continue;
      room = subtract(room, one.wanted);
      chosen.splice(chosen.indexOf(one), 1);
    }
    const cost = chosen.reduce((sum, one) => sum + lost(one), 0);
    if (best === null || cost < best.cost) best = { node, victims: chosen, cost };
  }
  return best;
}
