export interface Node {
  readonly id: string;
  readonly dependsOn: readonly string[];
  readonly durationMs: number;
}

export interface Topology {
  /** Each step after all it depends on; as given where that leaves a choice. */
  readonly order: readonly string[];
  readonly ancestors: ReadonlyMap<string, ReadonlySet<string>>;
  readonly successors: ReadonlyMap<string, readonly string[]>;
  /** Length of the longest way to its end that begins with the step, ms (critical path method). */
  readonly tailMs: ReadonlyMap<string, number>;
  readonly criticalPath: readonly string[];
  readonly durationMs: number;
  /** Most steps of one level: what can run side by side. */
  readonly width: number;
  readonly levels: number;
}

/** A cycle of the dependencies, each step before the one that depends on it; null where there is none. */
export function findCycle(nodes: readonly Pick<Node, 'id' | 'dependsOn'>[]): readonly string[] | null {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const done = new Set<string>();
  for (const { id } of nodes) {
    const path: string[] = [];
    const onPath = new Set<string>();
    const stack: { readonly id: string; next: number }[] = [{ id, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      if (top.next === 0) {
        if (done.has(top.id)) {
          stack.pop();
          continue;
        }
        path.push(top.id);
        onPath.add(top.id);
      }
      const source = byId.get(top.id)!.dependsOn[top.next];
      top.next += 1;
      if (source === undefined) {
        stack.pop();
        path.pop();
        onPath.delete(top.id);
        done.add(top.id);
      } else if (onPath.has(source)) return path.slice(path.indexOf(source)).reverse();
      else if (byId.has(source) && !done.has(source)) stack.push({ id: source, next: 0 });
    }
  }
  return null;
}

/** Of an acyclic network whose dependencies are all among its nodes. */
export function readTopology(nodes: readonly Node[]): Topology {
  const successors = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  const open = new Map(nodes.map(({ id, dependsOn }) => [id, dependsOn.length]));
  for (const { id, dependsOn } of nodes) for (const source of dependsOn) successors.get(source)!.push(id);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const order: string[] = [];
  const level = new Map<string, number>();
  const ready = nodes.filter(({ dependsOn }) => dependsOn.length === 0).map(({ id }) => id);
  for (let at = 0; at < ready.length; at += 1) {
    const id = ready[at]!;
    order.push(id);
    level.set(id, Math.max(0, ...byId.get(id)!.dependsOn.map((source) => level.get(source)! + 1)));
    for (const target of successors.get(id)!) {
      open.set(target, open.get(target)! - 1);
      if (open.get(target) === 0) ready.push(target);
    }
  }
  const ancestors = new Map<string, ReadonlySet<string>>();
  for (const id of order) {
    const found = new Set<string>();
    for (const source of byId.get(id)!.dependsOn) {
      found.add(source);
      for (const further of ancestors.get(source)!) found.add(further);
    }
    ancestors.set(id, found);
  }
  const tailMs = new Map<string, number>();
  const next = new Map<string, string | null>();
  for (const id of order.toReversed()) {
    let best: string | null = null;
    for (const target of successors.get(id)!)
      if (best === null || tailMs.get(target)! > tailMs.get(best)!) best = target;
    next.set(id, best);
    tailMs.set(id, byId.get(id)!.durationMs + (best === null ? 0 : tailMs.get(best)!));
  }
  const criticalPath: string[] = [];
  let first: string | null = null;
  for (const id of order) if (first === null || tailMs.get(id)! > tailMs.get(first)!) first = id;
  for (let id = first; id !== null; id = next.get(id) ?? null) criticalPath.push(id);
  const perLevel = new Map<number, number>();
  for (const at of level.values()) perLevel.set(at, (perLevel.get(at) ?? 0) + 1);
  return {
    order,
    ancestors,
    successors,
    tailMs,
    criticalPath,
    durationMs: first === null ? 0 : tailMs.get(first)!,
    width: Math.max(0, ...perLevel.values()),
    levels: perLevel.size,
  };
}
