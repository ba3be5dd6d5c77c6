import { operationKey } from './comparison.ts';
import type { SpanNode } from './span.ts';
import type { SpanTree } from './tree.ts';

/** Children of one parent, each begun after the one before had ended. */
export interface Sequence {
  /** Attempts of one call of which all but the last failed; one call over and over; calls that follow each other. */
  readonly kind: 'retries' | 'repeated' | 'sequential';
  readonly nodes: readonly SpanNode[];
}

/** As often as this in a row, a call is one that wants to be made for many at once. */
const minRepeats = 5;

/** What ran one after another where it need not have; a span stands in one sequence at most. */
export function sequencesOf({ nodes }: SpanTree): readonly Sequence[] {
  return nodes.flatMap(({ children }) => lanesOf(children).flatMap(sequencesOfLane));
}

/** Siblings laid out so that none overlaps another of its lane: each in the first lane that is free when it begins. */
function lanesOf(children: readonly SpanNode[]): readonly (readonly SpanNode[])[] {
  const lanes: SpanNode[][] = [];
  for (const child of children) {
    const free = lanes.find((lane) => lane.at(-1)!.span.end <= child.span.start);
    if (free) free.push(child);
    else lanes.push([child]);
  }
  return lanes;
}

function sequencesOfLane(lane: readonly SpanNode[]): readonly Sequence[] {
  const found: Sequence[] = [];
  const used = new Set<SpanNode>();
  const take = (kind: Sequence['kind'], nodes: readonly SpanNode[]) => {
    found.push({ kind, nodes });
    for (const node of nodes) used.add(node);
  };
  for (let at = 0; at < lane.length; at += 1) {
    let until = at;
    while (
      lane[until]!.span.failed &&
      until + 1 < lane.length &&
      operationKey(lane[until + 1]!.span) === operationKey(lane[at]!.span)
    )
      until += 1;
    if (until > at) take('retries', lane.slice(at, until + 1));
    at = until;
  }
  const left = () => lane.filter((node) => !used.has(node));
  for (const same of Map.groupBy(left(), ({ span }) => operationKey(span)).values())
    if (same.length >= minRepeats) take('repeated', same);
  if (left().length > 1) take('sequential', left());
  return found;
}
