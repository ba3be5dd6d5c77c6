/** Links as pairs of places in the list of nodes. */
export type Pair = readonly [source: number, target: number];

export type Layout = 'SINGLE' | 'STAR' | 'FULL_MESH' | 'HARARY' | 'TREE' | 'MESH_CORE_WITH_TREES' | 'RING' | 'BUS';

export interface GenerateOptions {
  /** Nodes whose loss any two others survive, plus one: of HARARY and the core. */
  readonly redundancy: number;
  /** Children of a node of a tree. */
  readonly fanOut: number;
  /** Nodes of the core. */
  readonly coreSize: number;
  /** Capacity of each node, for the choice of hubs; the first of the greatest leads. */
  readonly capacity: readonly number[];
}

/** Nodes by capacity, greatest first; who has more leads a hub, a tree or the core. */
function byCapacity(capacity: readonly number[]): number[] {
  return [...capacity.keys()].sort((a, b) => capacity[b]! - capacity[a]! || a - b);
}

/** Links of a topology over so many nodes as `capacity` has, each once. */
export function generateLinks(layout: Layout, options: GenerateOptions): readonly Pair[] {
  const order = byCapacity(options.capacity);
  const count = order.length;
  switch (layout) {
    case 'SINGLE':
      return [];
    case 'STAR':
      return order.slice(1).map((node) => [order[0]!, node]);
    case 'FULL_MESH':
      return order.flatMap((_, one) => Array.from({ length: count - one - 1 }, (_, at): Pair => [one, one + at + 1]));
    case 'HARARY':
      return hararyLinks(count, options.redundancy);
    case 'TREE':
      return order.slice(1).map((node, at) => [order[Math.floor(at / options.fanOut)]!, node]);
    case 'MESH_CORE_WITH_TREES':
      return coreWithTrees(order, options);
    case 'RING':
      return hararyLinks(count, 2);
    case 'BUS':
      return Array.from({ length: Math.max(0, count - 1) }, (_, at) => [at, at + 1]);
  }
}

/**
 * The fewest links with which no loss of `connectivity - 1` nodes takes a graph apart (Harary 1962): each node joined to
 * its nearest on a circle; an odd connectivity adds diameters.
 */
export function hararyLinks(count: number, connectivity: number): readonly Pair[] {
  const degree = Math.min(connectivity, count - 1);
  const pairs = new Map<string, Pair>();
  const join = (one: number, other: number) => {
    const pair: Pair = [Math.min(one, other), Math.max(one, other)];
    if (pair[0] !== pair[1]) pairs.set(pair.join(), pair);
  };
  if (degree === 1) for (let node = 1; node < count; node += 1) join(node - 1, node);
  for (let step = 1; step <= Math.floor(degree / 2); step += 1)
    for (let node = 0; node < count; node += 1) join(node, (node + step) % count);
  if (degree % 2 === 1 && degree > 1) {
    const half = Math.floor(count / 2);
    // An odd number of nodes leaves one without an opposite: the first gets two.
    if (count % 2 === 0) for (let node = 0; node < half; node += 1) join(node, node + half);
    else {
      join(0, half);
      join(0, half + 1);
      for (let node = 1; node < half; node += 1) join(node, node + half + 1);
    }
  }
  return [...pairs.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

function coreWithTrees(order: readonly number[], { coreSize, redundancy, fanOut }: GenerateOptions): readonly Pair[] {
  const core = order.slice(0, Math.max(1, Math.min(coreSize, order.length)));
  const rest = order.slice(core.length);
  // A core of a few nodes is a full mesh; a greater one keeps the redundancy asked for.
  const within =
    core.length <= 10
      ? generateLinks('FULL_MESH', { coreSize, redundancy, fanOut, capacity: core.map(() => 0) })
      : hararyLinks(core.length, redundancy);
  const leaves = rest.map((node, at): Pair => {
    // The first of the rest hang on the core in turn, the others on those before them.
    const parent =
      at < core.length * fanOut ? core[at % core.length]! : rest[Math.floor((at - core.length * fanOut) / fanOut)]!;
    return [parent, node];
  });
  return [...within.map(([one, other]): Pair => [core[one]!, core[other]!]), ...leaves];
}
