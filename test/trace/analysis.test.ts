import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { baselineOf, deviationOf } from '../../subgraphs/trace/analysis/baseline.ts';
import { bottlenecks } from '../../subgraphs/trace/analysis/bottlenecks.ts';
import { correctClockSkew } from '../../subgraphs/trace/analysis/clockSkew.ts';
import { concurrencyOf } from '../../subgraphs/trace/analysis/concurrency.ts';
import { criticalPath } from '../../subgraphs/trace/analysis/criticalPath.ts';
import { errorOrigins } from '../../subgraphs/trace/analysis/errorOrigins.ts';
import { operationTimes } from '../../subgraphs/trace/analysis/operationTimes.ts';
import { gradeOf, scoreOf } from '../../subgraphs/trace/analysis/score.ts';
import { selfTime } from '../../subgraphs/trace/analysis/selfTime.ts';
import { serviceMap } from '../../subgraphs/trace/analysis/serviceMap.ts';
import type { AnalysedSpan } from '../../subgraphs/trace/analysis/span.ts';
import { buildTree } from '../../subgraphs/trace/analysis/tree.ts';

function span(
  spanId: string,
  parentSpanId: string | null,
  start: number,
  end: number,
  more: Partial<AnalysedSpan> = {},
) {
  return { spanId, parentSpanId, start, end, service: 'a', operation: spanId, failed: false, ...more };
}

/** Any spans: parents that are missing, cyclic or doubled, on three clocks. */
const anySpans = fc.array(
  fc
    .tuple(fc.nat(12), fc.option(fc.nat(14)), fc.nat(1_000), fc.nat(500), fc.constantFrom('a', 'b', 'c'), fc.boolean())
    .map(([id, parent, start, length, service, failed]) =>
      span(`s${id}`, parent === null ? null : `s${parent}`, start, start + length, { service, failed }),
    ),
  { minLength: 1, maxLength: 20 },
);

/** Children one after the other within their parent, to any depth. */
const sequential = fc.array(fc.tuple(fc.nat(100), fc.nat(10), fc.nat(10)), { maxLength: 25 }).map((choices) => {
  const spans = [span('s0', null, 0, 10_000)];
  const free = [0];
  choices.forEach(([pick, gap, part], index) => {
    const at = pick % spans.length;
    const parent = spans[at]!;
    const start = free[at]! + gap;
    const end = start + Math.floor(((parent.end - start) * part) / 10);
    if (end <= start) return;
    free[at] = end;
    spans.push(span(`s${index + 1}`, parent.spanId, start, end));
    free.push(start);
  });
  return spans;
});

describe('tree', () => {
  it('hangs orphans under a synthetic parent and names what is missing', () => {
    const tree = buildTree([span('root', null, 0, 10), span('orphan', 'lost', 20, 30)])!;
    expect(tree).toMatchObject({ synthetic: true, missingParents: ['lost'] });
    expect(tree.root.span).toMatchObject({ start: 0, end: 30 });
  });

  it('holds every span once, whatever the parents', () => {
    fc.assert(
      fc.property(anySpans, (spans) => {
        const tree = buildTree(spans)!;
        const ids = tree.nodes.map((node) => node.span.spanId).filter((id) => id.startsWith('s'));
        expect(ids.sort()).toEqual([...new Set(spans.map((one) => one.spanId))].sort());
      }),
    );
  });
});

describe('self time', () => {
  it('takes the union of children that overlap', () => {
    const tree = buildTree([
      span('r', null, 0, 100),
      span('x', 'r', 10, 50),
      span('y', 'r', 40, 60),
      span('z', 'r', 90, 120),
    ])!;
    expect(selfTime(tree.root)).toBe(40);
  });

  it('sums to the duration of the root where children follow each other', () => {
    fc.assert(
      fc.property(sequential, (spans) => {
        const tree = buildTree(spans)!;
        expect(tree.nodes.reduce((sum, node) => sum + selfTime(node), 0)).toBe(10_000);
      }),
    );
  });
});

describe('critical path', () => {
  it('walks back from the child that finished last', () => {
    const tree = buildTree([
      span('r', null, 0, 100),
      span('x', 'r', 0, 40),
      span('y', 'r', 10, 90),
      span('z', 'y', 20, 80),
    ])!;
    const path = criticalPath(tree.root).map(({ node, start, end }) => [node.span.spanId, start, end]);
    expect(path).toEqual([
      ['r', 0, 10],
      ['y', 10, 20],
      ['z', 20, 80],
      ['y', 80, 90],
      ['r', 90, 100],
    ]);
  });

  it('is as long as the root, without a gap or an overlap', () => {
    fc.assert(
      fc.property(anySpans, (spans) => {
        const { root } = buildTree(spans)!;
        let reached = root.span.start;
        for (const { start, end } of criticalPath(root)) {
          expect(start).toBe(reached);
          expect(end).toBeGreaterThan(start);
          reached = end;
        }
        expect(reached).toBe(root.span.end);
      }),
    );
  });

  it('names what would be saved', () => {
    const { root } = buildTree([span('r', null, 0, 100), span('x', 'r', 0, 70)])!;
    const [first] = bottlenecks(root, criticalPath(root));
    expect(first).toMatchObject({ savingMs: 70, share: 0.7, node: { span: { spanId: 'x' } } });
  });
});

describe('clock skew', () => {
  it('centres a call of another clock in its parent and moves what it called along', () => {
    const { spans } = correctClockSkew([
      span('client', null, 0, 100),
      span('server', 'client', 1_000, 1_060, { service: 'b' }),
      span('inner', 'server', 1_010, 1_020, { service: 'b' }),
    ]);
    expect(spans.map(({ start, end }) => [start, end])).toEqual([
      [0, 100],
      [20, 80],
      [30, 40],
    ]);
  });

  it('leaves no call to another clock outside its parent where it fits, and changes no duration', () => {
    fc.assert(
      fc.property(anySpans, (spans) => {
        const corrected = correctClockSkew(spans).spans;
        const before = new Map([...spans].reverse().map((one) => [one.spanId, one]));
        for (const { span: child, parent } of buildTree(corrected)!.nodes) {
          const old = before.get(child.spanId);
          if (!old) continue;
          expect(child.end - child.start).toBe(old.end - old.start);
          if (!parent || parent.span.service === '' || parent.span.service === child.service) continue;
          if (child.end - child.start > parent.span.end - parent.span.start) continue;
          expect(child.start).toBeGreaterThanOrEqual(parent.span.start);
          expect(child.end).toBeLessThanOrEqual(parent.span.end);
        }
      }),
    );
  });
});

describe('errors', () => {
  it('suspects the deepest failure without a failed child and tells what it reached', () => {
    const failed = { failed: true };
    const tree = buildTree([
      span('r', null, 0, 100, failed),
      span('x', 'r', 0, 50, failed),
      span('y', 'x', 10, 20, failed),
      span('z', 'r', 60, 70, failed),
    ])!;
    const [origin, other] = errorOrigins(tree);
    expect(origin!.node.span.spanId).toBe('y');
    expect(origin!.blastRadius.map((node) => node.span.spanId)).toEqual(['x', 'r']);
    expect(other!.node.span.spanId).toBe('z');
  });
});

describe('figures', () => {
  it('counts calls between services', () => {
    const tree = buildTree([
      span('r', null, 0, 100),
      span('x', 'r', 0, 10, { service: 'b', failed: true }),
      span('y', 'r', 20, 50, { service: 'b' }),
    ])!;
    expect(serviceMap(tree)).toEqual([{ from: 'a', to: 'b', calls: 2, errors: 1, p95Ms: 30 }]);
  });

  it('scores and grades', () => {
    const score = scoreOf({ durationMs: 200, baselineP50Ms: 100, failedShare: 0.5, idleShare: 0 });
    expect(score).toBeCloseTo(0.6);
    expect([0.9, 0.85, 0.7, 0.6, 0.59].map(gradeOf)).toEqual(['A', 'B', 'C', 'D', 'F']);
  });

  it('measures deviation robustly, by the standard deviation where most values are the same', () => {
    const spread = baselineOf([9, 10, 11, 10, 9, 11, 10, 12, 8, 10])!;
    expect(deviationOf(30, spread)).toMatchObject({ method: 'MAD', anomalous: true });
    expect(deviationOf(11, spread)).toMatchObject({ anomalous: false });
    const flat = baselineOf([10, 10, 10, 10, 10, 10, 10, 10, 10, 11])!;
    expect(deviationOf(30, flat)).toMatchObject({ method: 'Z_SCORE', anomalous: true });
    expect(deviationOf(30, baselineOf([1, 2])!)).toBeNull();
  });
});

describe('concurrency', () => {
  it('counts spans that work themselves, neither waiting for one they called nor over', () => {
    // The root works 0-10 and 90-100; two calls side by side, of which the second calls one more.
    const spans = [
      span('root', null, 0, 100),
      span('one', 'root', 10, 60),
      span('two', 'root', 20, 90),
      span('three', 'two', 30, 40),
    ];
    expect(concurrencyOf(buildTree(spans)!)).toEqual({ max: 2, mean: 1.4, parallelShare: 0.4 });
  });

  it('is what self times add up to, and at most the number of spans', () => {
    fc.assert(
      fc.property(anySpans, (spans) => {
        const tree = buildTree(spans)!;
        const total = tree.root.span.end - tree.root.span.start;
        const { max, mean, parallelShare } = concurrencyOf(tree);
        expect(max).toBeLessThanOrEqual(tree.nodes.length);
        expect(mean).toBeLessThanOrEqual(
          Math.max(max, total <= 0 ? 1 : 0) * Math.max(1, spread(tree.nodes) / total || 1) + 1e-9,
        );
        expect(parallelShare).toBeGreaterThanOrEqual(0);
        expect(parallelShare).toBeLessThanOrEqual(1);
      }),
    );
  });
});

const spread = (nodes: readonly { readonly span: AnalysedSpan }[]) =>
  Math.max(...nodes.map(({ span: { end } }) => end)) - Math.min(...nodes.map(({ span: { start } }) => start));

it('operations of a trace are told by what they took themselves', () => {
  const call = (id: string, start: number, end: number, failed = false) =>
    span(id, 'root', start, end, { service: 'b', operation: 'call', failed });
  const tree = buildTree([span('root', null, 0, 100), call('x', 0, 10), call('y', 10, 40), call('z', 40, 90, true)])!;
  expect(operationTimes(tree)).toEqual([
    { service: 'b', operation: 'call', count: 3, failed: 1, p50Ms: 30, p95Ms: 50, p99Ms: 50, selfMs: 90 },
    { service: 'a', operation: 'root', count: 1, failed: 0, p50Ms: 100, p95Ms: 100, p99Ms: 100, selfMs: 10 },
  ]);
});
