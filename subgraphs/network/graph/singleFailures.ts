import { type Digraph, undirected } from './digraph.ts';

/** What is lost when one thing fails, whatever the direction of links. */
export interface SingleFailures {
  /** By link, 1 where its loss disconnects what it joins. */
  readonly bridges: Uint8Array;
  /** By node, 1 where its loss disconnects others. */
  readonly cutNodes: Uint8Array;
  /** By link: unordered pairs of nodes that no longer reach each other without it. */
  readonly pairsLostByLink: Float64Array;
  /** By node: pairs of other nodes that no longer reach each other without it. */
  readonly pairsLostByNode: Float64Array;
  /** By node: parts of its component that are left without it. */
  readonly partsWithoutNode: Int32Array;
}

/**
 * Bridges and articulation points (Hopcroft and Tarjan 1973) with the pairs that each separates: all single failures in
 * one depth-first search, since the parts that fall off are its subtrees. Of parallel links none is a bridge.
 */
export function singleFailures(directed: Digraph): SingleFailures {
  const graph = undirected(directed);
  const { nodeCount, linkCount, first, to, link } = graph;
  const bridges = new Uint8Array(linkCount);
  const cutNodes = new Uint8Array(nodeCount);
  const pairsLostByLink = new Float64Array(linkCount);
  const pairsLostByNode = new Float64Array(nodeCount);
  const partsWithoutNode = new Int32Array(nodeCount);
  const index = new Int32Array(nodeCount).fill(-1);
  const low = new Int32Array(nodeCount);
  const size = new Int32Array(nodeCount).fill(1);
  const via = new Int32Array(nodeCount).fill(-1);
  const place = Int32Array.from(first.subarray(0, nodeCount));
  // Of the subtrees that fall off a node: their sizes and the pairs among them so far.
  const fallen = new Int32Array(nodeCount);
  let counter = 0;

  for (let root = 0; root < nodeCount; root += 1) {
    if (index[root] !== -1) continue;
    const members: number[] = [];
    const path = [root];
    while (path.length > 0) {
      const node = path.at(-1)!;
      if (index[node] === -1) {
        index[node] = counter;
        low[node] = counter;
        counter += 1;
        members.push(node);
      }
      let descended = false;
      for (; place[node]! < first[node + 1]!; place[node]! += 1) {
        const arc = place[node]!;
        if (link[arc] === via[node]) continue;
        const head = to[arc]!;
        if (index[head] === -1) {
          via[head] = link[arc]!;
          path.push(head);
          descended = true;
          break;
        }
        low[node] = Math.min(low[node]!, index[head]!);
      }
      if (descended) continue;
      path.pop();
      const parent = path.at(-1);
      if (parent === undefined) continue;
      low[parent] = Math.min(low[parent]!, low[node]!);
      size[parent]! += size[node]!;
      if (low[node]! > index[parent]!) bridges[via[node]!] = 1;
      if (low[node]! < index[parent]!) continue;
      // Without the parent this subtree is a part of its own.
      pairsLostByNode[parent]! += fallen[parent]! * size[node]!;
      fallen[parent]! += size[node]!;
      partsWithoutNode[parent]! += 1;
    }
    const total = members.length;
    for (const node of members) {
      if (via[node] !== -1 && bridges[via[node]!] === 1)
        pairsLostByLink[via[node]!] = size[node]! * (total - size[node]!);
      const rest = total - 1 - fallen[node]!;
      if (rest > 0) {
        pairsLostByNode[node]! += rest * fallen[node]!;
        partsWithoutNode[node]! += 1;
      }
      if (partsWithoutNode[node]! > 1) cutNodes[node] = 1;
    }
  }
  return { bridges, cutNodes, pairsLostByLink, pairsLostByNode, partsWithoutNode };
}
