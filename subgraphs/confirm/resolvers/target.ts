/** What an object of the graph is called there, by the type that a confirm gives it. */
const typenames: Readonly<Record<string, 'Context' | 'Plan' | 'Trace'>> = {
  context: 'Context',
  plan: 'Plan',
  trace: 'Trace',
};

/** The object as the graph knows it; null for what no subgraph serves: extensions, and others. */
export function targetOf({ targetType, targetId }: { readonly targetType: string; readonly targetId: string }) {
  const __typename = typenames[targetType];
  return __typename === undefined ? null : { __typename, id: targetId };
}
