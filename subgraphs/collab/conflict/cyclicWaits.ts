/** Groups that wait for each other in a circle: strongly connected components (Tarjan 1972) with more than one member, or with a wait for oneself. */
export function cyclicWaits(
  waits: readonly { readonly from: string; readonly to: string }[],
): readonly (readonly string[])[] {
  const next = Map.groupBy(waits, ({ from }) => from);
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const found: string[][] = [];
  for (const { from: root } of waits) {
    if (index.has(root)) continue;
    // A stack of its own: chains of waits may be longer than calls can be deep.
    const work: { readonly node: string; at: number }[] = [{ node: root, at: 0 }];
    while (work.length > 0) {
      const frame = work.at(-1)!;
      const { node } = frame;
      if (frame.at === 0 && !index.has(node)) {
        index.set(node, index.size);
        low.set(node, index.get(node)!);
        stack.push(node);
        onStack.add(node);
      }
      const to = next.get(node)?.[frame.at]?.to;
      frame.at += 1;
      if (to !== undefined) {
        if (!index.has(to)) work.push({ node: to, at: 0 });
        else if (onStack.has(to)) low.set(node, Math.min(low.get(node)!, index.get(to)!));
        continue;
      }
      work.pop();
      const above = work.at(-1);
      if (above !== undefined) low.set(above.node, Math.min(low.get(above.node)!, low.get(node)!));
      if (low.get(node) !== index.get(node)) continue;
      const members: string[] = [];
      for (let member = stack.pop()!; ; member = stack.pop()!) {
        onStack.delete(member);
        members.push(member);
        if (member === node) break;
      }
      const isSelf = members.length === 1 && (next.get(node) ?? []).some((edge) => edge.to === node);
      if (members.length > 1 || isSelf) found.push(members.sort());
    }
  }
  return found;
}
