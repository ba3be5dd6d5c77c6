import type { UnusualSpan } from './comparison.ts';
import type { ErrorOrigin } from './errorOrigins.ts';
import { sequencesOf } from './sequences.ts';
import { durationOf, type SpanNode } from './span.ts';
import { type SpanTree, syntheticSpanId } from './tree.ts';
import { savingOf, type WhatIf } from './whatIf.ts';

export type RecommendationKind = 'FIX_FAILURE' | 'AVOID_RETRIES' | 'BATCH_CALLS' | 'RUN_IN_PARALLEL' | 'SLOW_SPAN';

/** A measure of the trace that a recommendation follows from. */
export interface Evidence {
  readonly measure: string;
  readonly value: number;
  readonly unit: string | null;
}

export interface Recommendation {
  readonly kind: RecommendationKind;
  readonly message: string;
  /** Milliseconds by which the trace would end earlier. */
  readonly savingMs: number;
  readonly share: number;
  readonly spanIds: readonly string[];
  readonly evidence: readonly Evidence[];
}

type Draft = Omit<Recommendation, 'savingMs' | 'share'> & { readonly change: WhatIf };

const maxRecommendations = 10;
const maxSpansNamed = 20;
/** Drafts whose saving is worked out; those that hold the most time come first. */
const maxDrafts = 30;
/** What saves less of the duration is not worth a change. */
const minShare = 0.05;

/** What would make the trace better, what fails first, then what saves most; each with what it follows from. */
export function recommendationsOf(
  tree: SpanTree,
  { origin, unusual }: { readonly origin: ErrorOrigin | null; readonly unusual: readonly UnusualSpan[] },
): readonly Recommendation[] {
  const { root } = tree;
  const total = durationOf(root.span);
  const drafts = [...sequencesOf(tree).map(draftOf), ...slowSpans(tree, unusual)]
    .map((draft) => ({ draft, heldMs: draft.evidence[1]!.value }))
    .sort((a, b) => b.heldMs - a.heldMs)
    .slice(0, maxDrafts)
    .map(({ draft: { change, ...draft } }): Recommendation => {
      const savingMs = savingOf(root, change);
      return { ...draft, savingMs, share: total > 0 ? savingMs / total : 0 };
    })
    .filter(({ share }) => share >= minShare)
    .sort((a, b) => b.savingMs - a.savingMs);
  return [...(origin === null ? [] : [failure(origin)]), ...drafts].slice(0, maxRecommendations);
}

const ms = (measure: string, value: number): Evidence => ({ measure, value, unit: 'ms' });
const times = (measure: string, value: number): Evidence => ({ measure, value, unit: null });
const sumOf = (nodes: readonly SpanNode[]) => nodes.reduce((sum, { span }) => sum + durationOf(span), 0);
const longestOf = (nodes: readonly SpanNode[]) => Math.max(...nodes.map(({ span }) => durationOf(span)));
const nameOf = ({ span }: SpanNode) => `${span.service} ${span.operation}`;
const named = (nodes: readonly SpanNode[]) => nodes.slice(0, maxSpansNamed).map(({ span }) => span.spanId);

function draftOf({ kind, nodes }: ReturnType<typeof sequencesOf>[number]): Draft {
  const together = new Set(nodes);
  const held = ms('total', sumOf(nodes));
  const where = nodes[0]!.parent!;
  const under = where.span.spanId === syntheticSpanId ? 'the trace' : nameOf(where);
  switch (kind) {
    case 'retries': {
      const attempts = nodes.slice(0, -1);
      return {
        kind: 'AVOID_RETRIES',
        message: `${nameOf(nodes[0]!)} was tried ${nodes.length} times in ${under}: find out why the first attempt fails`,
        spanIds: named(nodes),
        evidence: [times('attempts', nodes.length), held, ms('failed', sumOf(attempts))],
        change: { together, lengths: new Map(attempts.map((node) => [node, 0])) },
      };
    }
    case 'repeated':
      return {
        kind: 'BATCH_CALLS',
        message: `${under} calls ${nameOf(nodes[0]!)} ${nodes.length} times, one after another: ask for all of them at once`,
        spanIds: named(nodes),
        evidence: [times('calls', nodes.length), held, ms('longest', longestOf(nodes))],
        // One call for all takes as long as the longest of them.
        change: { together },
      };
    case 'sequential':
      return {
        kind: 'RUN_IN_PARALLEL',
        message: `${nodes.length} calls of ${under} run one after another: begin together those that do not need each other's results`,
        spanIds: named(nodes),
        evidence: [times('calls', nodes.length), held, ms('longest', longestOf(nodes))],
        change: { together },
      };
  }
}

/** Spans longer than usual; one whose calls explain half of that or more is left to them. */
function slowSpans(tree: SpanTree, unusual: readonly UnusualSpan[]): readonly Draft[] {
  const nodes = new Map(tree.nodes.map((node) => [node.span.spanId, node]));
  const slow = new Map(
    unusual.flatMap((entry) => {
      const over = entry.durationMs - entry.baselineP50Ms;
      const node = nodes.get(entry.span.spanId);
      return over > 0 && node !== undefined ? [[node, { ...entry, over }] as const] : [];
    }),
  );
  return [...slow].flatMap(([node, { durationMs, baselineP50Ms, deviation, over }]): Draft[] => {
    const explained = node.children.reduce((sum, child) => sum + (slow.get(child)?.over ?? 0), 0);
    if (explained >= over / 2) return [];
    return [
      {
        kind: 'SLOW_SPAN',
        message: `${nameOf(node)} took ${durationMs.toFixed(1)} ms, in similar runs ${baselineP50Ms.toFixed(1)} ms`,
        spanIds: [node.span.spanId],
        evidence: [
          ms('duration', durationMs),
          ms('over', over),
          ms('median', baselineP50Ms),
          times('score', deviation.score),
        ],
        change: { lengths: new Map([[node, baselineP50Ms]]) },
      },
    ];
  });
}

function failure({ node, depth, blastRadius }: ErrorOrigin): Recommendation {
  return {
    kind: 'FIX_FAILURE',
    message: `${nameOf(node)} failed first${blastRadius.length === 0 ? '' : `, and ${blastRadius.length} above it with it`}`,
    savingMs: 0,
    share: 0,
    spanIds: named([node, ...blastRadius]),
    evidence: [times('failed above', blastRadius.length), times('depth', depth), ms('duration', durationOf(node.span))],
  };
}
