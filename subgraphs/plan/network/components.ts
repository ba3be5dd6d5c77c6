import type { Digraph } from './digraph.ts';

/**
 * Strongly connected components (Tarjan 1972), without recursion: a plan of 10,000 steps in a row would overflow the
 * stack. `componentOf[node]` numbers them in reverse topological order.
 */
export function findComponents(graph: Digraph): { readonly componentOf: Int32Array; readonly componentCount: number } {
  const { count, outStart, outEdges, edgeTarget } = graph;
  const componentOf = new Int32Array(count).fill(-1);
  const number = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const next = new Int32Array(count);
  const open: number[] = [];
  const path: number[] = [];
  let numbered = 0;
  let componentCount = 0;
  const enter = (node: number): void => {
    number[node] = low[node] = numbered++;
    next[node] = outStart[node]!;
    open.push(node);
    path.push(node);
  };
  for (let root = 0; root < count; root += 1) {
    if (number[root] !== -1) continue;
    enter(root);
    while (path.length > 0) {
      const node = path.at(-1)!;
      const at = next[node]!;
      if (at < outStart[node + 1]!) {
        next[node] = at + 1;
        const target = edgeTarget[outEdges[at]!]!;
        if (number[target] === -1) enter(target);
        else if (componentOf[target] === -1) low[node] = Math.min(low[node]!, number[target]!);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
      if (low[node] !== number[node]) continue;
      for (let member = -1; member !== node; ) {
        member = open.pop()!;
        componentOf[member] = componentCount;
      }
      componentCount += 1;
    }
  }
  return { componentOf, componentCount };
}
