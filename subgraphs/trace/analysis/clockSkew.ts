import { type AnalysedSpan, durationOf } from './span.ts';
import { buildTree, syntheticSpanId } from './tree.ts';

export interface SkewCorrection {
  readonly spans: readonly AnalysedSpan[];
  /** Milliseconds added, by span id; spans that were not moved are not named. */
  readonly shifts: ReadonlyMap<string, number>;
}

/**
 * Moves the spans of another service's clock into their parent, as Jaeger's clock-skew adjuster does: a child that sticks
 * out is centred in its parent (its network time taken as the same both ways), and what it called on its own clock moves
 * along. A child longer than its parent can fit nowhere: it starts with the parent at the earliest.
 */
export function correctClockSkew(spans: readonly AnalysedSpan[]): SkewCorrection {
  const tree = buildTree(spans);
  const shifts = new Map<string, number>();
  if (!tree) return { spans, shifts };
  const moved = new Map<string, AnalysedSpan>();
  const shiftOf = new Map<string, number>();
  for (const { span, parent } of tree.nodes) {
    const over = parent === null ? undefined : moved.get(parent.span.spanId);
    if (parent === null || over === undefined || parent.span.spanId === syntheticSpanId) {
      moved.set(span.spanId, span);
      shiftOf.set(span.spanId, 0);
      continue;
    }
    // One clock per service: what the parent's service was moved by holds for its own calls too.
    const inherited = span.service === parent.span.service ? shiftOf.get(parent.span.spanId)! : 0;
    const start = span.start + inherited;
    const end = span.end + inherited;
    const shift = inherited + (span.service === parent.span.service ? 0 : skewOf({ start, end }, over));
    shiftOf.set(span.spanId, shift);
    if (shift === 0) moved.set(span.spanId, span);
    else {
      moved.set(span.spanId, { ...span, start: span.start + shift, end: span.end + shift });
      shifts.set(span.spanId, shift);
    }
  }
  return {
    spans: tree.nodes.flatMap(({ span }) => (span.spanId === syntheticSpanId ? [] : [moved.get(span.spanId)!])),
    shifts,
  };
}

function skewOf(child: { start: number; end: number }, parent: AnalysedSpan): number {
  const room = durationOf(parent) - durationOf(child);
  if (room < 0) return child.start < parent.start ? parent.start - child.start : 0;
  if (child.start >= parent.start && child.end <= parent.end) return 0;
  return parent.start + room / 2 - child.start;
}
