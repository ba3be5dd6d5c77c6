import type { Digraph } from './digraph.ts';
import { createDigraph } from './digraph.ts';
import { shortestTree } from './shortestPaths.ts';

/** What links add up to along a path, by arc. A quantity that is a product (1 - loss, reliability) is handed in as -ln. */
export interface Resource {
  readonly use: Float64Array;
  readonly most: number;
}

/** What is left at least from each node to the target, of the cost and of each resource. */
export interface Bounds {
  readonly cost: Float64Array;
  readonly uses: readonly Float64Array[];
}

export interface ConstrainedSearch {
  /** What is to be least. */
  readonly cost: Float64Array;
  readonly resources: readonly Resource[];
  readonly closedArcs?: Uint8Array;
  readonly closedNodes?: Uint8Array;
  /** Of this graph, or of one in which less is closed: for several searches to one target. @default those of this search */
  readonly bounds?: Bounds;
  /** Labels the search may make before it gives up. @default 200,000 */
  readonly maxLabels?: number;
}

export type ConstrainedPath =
  | { readonly kind: 'found'; readonly arcs: readonly number[]; readonly cost: number }
  | { readonly kind: 'none' }
  /** Too many labels: whether there is a path is not known. */
  | { readonly kind: 'given up' };

const defaultMaxLabels = 200_000;

interface Label {
  readonly node: number;
  readonly cost: number;
  readonly used: Float64Array;
  readonly arc: number;
  readonly before: Label | null;
}

/**
 * The cheapest path within its resources: labels with dominance, in the order of cost plus what is left at least
 * (label setting: Desrochers and Soumis 1988; bounds by a backward search per quantity, as in Dumitrescu and Boland 2003,
 * so that a label which cannot end within its limits is never made). Costs and uses are not negative.
 */
export function constrainedPath(
  graph: Digraph,
  { source, target }: { readonly source: number; readonly target: number },
  search: ConstrainedSearch,
): ConstrainedPath {
  const { closedArcs, closedNodes, resources } = search;
  const { cost: costLeft, uses: usesLeft } = search.bounds ?? boundsTo(graph, target, search);
  if (costLeft[source] === Number.POSITIVE_INFINITY) return { kind: 'none' };
  const count = resources.length;
  const most = resources.map((resource) => resource.most * (1 + 1e-12) + 1e-12);
  const isWithin = (node: number, used: Float64Array) => {
    for (let at = 0; at < count; at += 1) if (used[at]! + usesLeft[at]![node]! > most[at]!) return false;
    return true;
  };

  const start: Label = { node: source, cost: 0, used: new Float64Array(count), arc: -1, before: null };
  if (!isWithin(source, start.used)) return { kind: 'none' };
  const queue = new LabelQueue(costLeft);
  const settled = new Map<number, Label[]>();
  queue.push(start);
  let made = 1;
  for (let label = queue.pop(); label !== null; label = queue.pop()) {
    const { node } = label;
    if (node === target) return { kind: 'found', arcs: arcsOf(label), cost: label.cost };
    const others = settled.get(node) ?? [];
    if (others.some((other) => dominates(other, label))) continue;
    settled.set(node, [...others, label]);
    for (let arc = graph.first[node]!; arc < graph.first[node + 1]!; arc += 1) {
      const head = graph.to[arc]!;
      const cost = label.cost + search.cost[arc]!;
      if (closedArcs?.[arc] === 1 || closedNodes?.[head] === 1 || !Number.isFinite(cost)) continue;
      if (costLeft[head] === Number.POSITIVE_INFINITY) continue;
      const used = new Float64Array(count);
      for (let at = 0; at < count; at += 1) used[at] = label.used[at]! + resources[at]!.use[arc]!;
      if (!isWithin(head, used)) continue;
      const next: Label = { node: head, cost, used, arc, before: label };
      if (settled.get(head)?.some((other) => dominates(other, next))) continue;
      if (made >= (search.maxLabels ?? defaultMaxLabels)) return { kind: 'given up' };
      made += 1;
      queue.push(next);
    }
  }
  return { kind: 'none' };
}

/** A backward search for each quantity that is another. */
export function boundsTo(
  graph: Digraph,
  target: number,
  { cost, resources, closedArcs, closedNodes }: Omit<ConstrainedSearch, 'bounds'>,
): Bounds {
  const turned = turnRound(graph);
  const closed = closedArcs && turnedValues(turned, closedArcs, new Uint8Array(graph.arcCount));
  const limits = { ...(closedNodes && { closedNodes }), ...(closed && { closedArcs: closed }) };
  const found = new Map<Float64Array, Float64Array>();
  const leastTo = (values: Float64Array): Float64Array => {
    const known = found.get(values);
    if (known !== undefined) return known;
    const length = turnedValues(turned, values, new Float64Array(graph.arcCount));
    const { distance } = shortestTree(turned, target, length, limits);
    found.set(values, distance);
    return distance;
  };
  return { cost: leastTo(cost), uses: resources.map(({ use }) => leastTo(use)) };
}

function turnedValues<Values extends Float64Array | Uint8Array>(
  { link, arcCount }: Digraph,
  values: Values,
  turned: Values,
): Values {
  for (let arc = 0; arc < arcCount; arc += 1) turned[arc] = values[link[arc]!]!;
  return turned;
}

/** No worse in anything; two alike dominate each other, of which the first stays. */
function dominates(one: Label, other: Label): boolean {
  if (one.cost > other.cost) return false;
  for (let at = 0; at < one.used.length; at += 1) if (one.used[at]! > other.used[at]!) return false;
  return true;
}

function arcsOf(label: Label): readonly number[] {
  const arcs: number[] = [];
  for (let at: Label | null = label; at !== null && at.arc !== -1; at = at.before) arcs.push(at.arc);
  return arcs.reverse();
}

/** Of a graph, which never changes: searches over one follow each other. */
const turnedGraphs = new WeakMap<Digraph, Digraph>();

/** Every arc the other way; its `link` is the arc it comes of. */
function turnRound(graph: Digraph): Digraph {
  const known = turnedGraphs.get(graph);
  if (known !== undefined) return known;
  const { nodeCount, arcCount, from, to } = graph;
  const turned = createDigraph(
    nodeCount,
    Array.from({ length: arcCount }, (_, arc) => ({ source: to[arc]!, target: from[arc]!, isTwoWay: false })),
  );
  turnedGraphs.set(graph, turned);
  return turned;
}

/** Labels by cost and what is left at least, then by age. */
class LabelQueue {
  readonly #left: Float64Array;
  readonly #heap: { readonly key: number; readonly age: number; readonly label: Label }[] = [];
  #age = 0;

  constructor(left: Float64Array) {
    this.#left = left;
  }

  push(label: Label): void {
    const entry = { key: label.cost + this.#left[label.node]!, age: this.#age, label };
    this.#age += 1;
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  pop(): Label | null {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined) return null;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
        if (!isBefore(heap[child]!, last)) break;
        heap[at] = heap[child]!;
        at = child;
      }
      heap[at] = last;
    }
    return top.label;
  }
}

function isBefore(
  one: { readonly key: number; readonly age: number },
  other: { readonly key: number; readonly age: number },
): boolean {
  return one.key < other.key || (one.key === other.key && one.age < other.age);
}
