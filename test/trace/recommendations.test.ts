import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareRuns, operationKey } from '../../subgraphs/trace/analysis/comparison.ts';
import { errorOrigins } from '../../subgraphs/trace/analysis/errorOrigins.ts';
import { recommendationsOf } from '../../subgraphs/trace/analysis/recommendations.ts';
import { type AnalysedSpan, durationOf } from '../../subgraphs/trace/analysis/span.ts';
import { buildTree } from '../../subgraphs/trace/analysis/tree.ts';
import { savingOf } from '../../subgraphs/trace/analysis/whatIf.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

function span(
  spanId: string,
  parentSpanId: string | null,
  start: number,
  end: number,
  more: Partial<AnalysedSpan> = {},
) {
  return { spanId, parentSpanId, start, end, service: 'a', operation: spanId, failed: false, ...more };
}

function recommend(spans: readonly AnalysedSpan[], usual: ReadonlyMap<string, readonly number[]> = new Map()) {
  const tree = buildTree(spans)!;
  const durations = [...Array(20).keys()].map((at) => 100 + at);
  const unusual = compareRuns(durationOf(tree.root.span), spans, { durations, operations: usual })!.unusual;
  return recommendationsOf(tree, { origin: errorOrigins(tree)[0] ?? null, unusual });
}

/** Trees of up to three levels, whole numbers, children within their parent or beyond it. */
const anyTree = fc
  .array(fc.tuple(fc.nat(100), fc.nat(100), fc.integer({ min: 1, max: 60 }), fc.boolean(), fc.nat(3)), {
    maxLength: 15,
  })
  .map((choices) => {
    const spans: AnalysedSpan[] = [span('s0', null, 0, 100)];
    choices.forEach(([pick, start, length, failed, kind], at) => {
      const parent = spans[pick % spans.length]!;
      const from = parent.start + start;
      spans.push(span(`s${at + 1}`, parent.spanId, from, from + length, { failed, operation: `o${kind}` }));
    });
    return spans;
  });

describe('what would be saved', () => {
  it('is nothing without a change, and never less than nothing or more than all', () => {
    fc.assert(
      fc.property(anyTree, fc.nat(100), (spans, pick) => {
        const { root, nodes } = buildTree(spans)!;
        expect(savingOf(root, {})).toBe(0);
        const { children } = nodes[pick % nodes.length]!;
        const saved = savingOf(root, {
          together: new Set(children),
          lengths: new Map(children.map((child) => [child, 0])),
        });
        expect(saved).toBeGreaterThanOrEqual(0);
        expect(saved).toBeLessThanOrEqual(100);
      }),
    );
  });

  it('is bounded by what runs beside it and by what waits above', () => {
    const { root, nodes } = buildTree([
      span('r', null, 0, 100),
      span('p', 'r', 0, 80),
      span('x', 'p', 10, 40),
      span('y', 'p', 40, 70),
      span('beside', 'r', 5, 72),
      span('after', 'r', 85, 95),
    ])!;
    const pair = new Set(nodes.filter(({ span: { spanId } }) => spanId === 'x' || spanId === 'y'));
    // By itself the pair saves 30 of its parent; `beside` ends 8 before it and holds back the rest.
    expect(savingOf(root, { together: pair })).toBe(8);
  });
});

describe('recommendations', () => {
  it('tell calls in a row that could run together, with the gain of the critical path', () => {
    const found = recommend([
      span('r', null, 0, 100),
      span('x', 'r', 10, 40),
      span('y', 'r', 45, 65),
      span('z', 'r', 65, 90),
    ]);
    // All three from 10 on end at 40 instead of 90.
    expect(found).toMatchObject([{ kind: 'RUN_IN_PARALLEL', savingMs: 50, share: 0.5, spanIds: ['x', 'y', 'z'] }]);
    expect(found[0]!.evidence).toEqual([
      { measure: 'calls', value: 3, unit: null },
      { measure: 'total', value: 75, unit: 'ms' },
      { measure: 'longest', value: 30, unit: 'ms' },
    ]);
    const after = buildTree([
      span('r', null, 0, 50),
      span('x', 'r', 10, 40),
      span('y', 'r', 10, 30),
      span('z', 'r', 10, 35),
    ])!;
    expect(durationOf(after.root.span)).toBe(100 - found[0]!.savingMs);
  });

  it('tell one call made over and over apart from calls that differ, and say nothing of what runs together already', () => {
    const loop = [...Array(6).keys()].map((at) => span(`q${at}`, 'r', at * 10, at * 10 + 10, { operation: 'query' }));
    expect(recommend([span('r', null, 0, 100), ...loop])).toMatchObject([{ kind: 'BATCH_CALLS', savingMs: 50 }]);
    const beside = loop.map((one, at) => ({ ...one, start: at, end: 60 + at }));
    expect(recommend([span('r', null, 0, 100), ...beside])).toEqual([]);
  });

  it('tell attempts that failed before the last, and what failed first', () => {
    const call = { operation: 'call' };
    const found = recommend([
      span('r', null, 0, 100),
      span('c1', 'r', 0, 20, { ...call, failed: true }),
      span('c2', 'r', 30, 50, { ...call, failed: true }),
      span('c3', 'r', 60, 80, call),
    ]);
    expect(found.map(({ kind, savingMs }) => [kind, savingMs])).toEqual([
      ['FIX_FAILURE', 0],
      ['AVOID_RETRIES', 60],
    ]);
    expect(found[1]!.evidence).toContainEqual({ measure: 'failed', value: 40, unit: 'ms' });
  });

  it('tell a span that is slower than in similar runs, not what only waits for it', () => {
    const usual = (middle: number) => [...Array(20).keys()].map((at) => middle - 1 + (at % 3));
    const found = recommend(
      [span('r', null, 0, 100), span('x', 'r', 5, 95), span('y', 'x', 10, 90)],
      new Map([
        [operationKey({ service: 'a', operation: 'r' }), usual(40)],
        [operationKey({ service: 'a', operation: 'x' }), usual(30)],
        [operationKey({ service: 'a', operation: 'y' }), usual(20)],
      ]),
    );
    expect(found).toMatchObject([{ kind: 'SLOW_SPAN', spanIds: ['y'], savingMs: 60 }]);
  });
});

describe('a trace beside similar ones', () => {
  let rig: Awaited<ReturnType<typeof openTraceRig>>;
  beforeAll(async () => {
    rig = await openTraceRig();
  });
  afterAll(() => rig[Symbol.asyncDispose]());
  const alice = principal('alice');
  const origin = BigInt(Date.now() - 3_600_000) * 1_000_000n;

  /** A run whose `load` takes so long, begun the minutes after the first. */
  async function run(contextId: string, minute: number, loadMs: number): Promise<string> {
    const at = (ms: number) => String(origin + BigInt(minute) * 60_000_000_000n + BigInt(Math.round(ms * 1e6)));
    const made = await rig.ask(
      alice,
      `mutation($input: CreateTraceInput!, $root: TraceSpanInput!) { startTrace(input: $input, rootSpan: $root) { trace { id } userErrors { message } } }`,
      {
        input: { contextId, name: `run ${minute}` },
        root: {
          spanId: '00000000000000a1',
          name: 'order',
          service: 'shop',
          startTimeUnixNano: at(0),
          endTimeUnixNano: at(loadMs + 20),
        },
      },
    );
    const { id } = made.startTrace.trace;
    const child = (spanId: string, name: string, from: number, to: number) => ({
      spanId,
      parentSpanId: '00000000000000a1',
      name,
      service: 'shop',
      startTimeUnixNano: at(from),
      endTimeUnixNano: at(to),
    });
    await rig.ask(
      alice,
      'mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted } }',
      {
        id,
        spans: [
          child('00000000000000a2', 'load', 5, 5 + loadMs),
          child('00000000000000a3', 'store', 8 + loadMs, 18 + loadMs),
        ],
      },
    );
    return id;
  }

  const read = (id: string): Promise<Json> =>
    rig
      .ask(
        alice,
        `query($id: ID!) { traceAnalysis(traceId: $id) { recommendations { kind savingMs spanIds evidence { measure value unit } }
           comparison { runs percentile p50Ms p95Ms deviation { anomalous } unusualSpans { spanId operation durationMs deviation { method anomalous baselineP50Ms } } } } }`,
        { id },
      )
      .then((answer) => answer.traceAnalysis);

  it('stands where its duration puts it, names what deviates, and leaves out runs of private contexts', async () => {
    const contextId = rig.openContext();
    const hidden = rig.openContext('one', 'alice');
    const first = await run(contextId, 0, 10);
    for (let minute = 1; minute < 12; minute += 1) await run(contextId, minute, 10 + (minute % 3));
    for (let minute = 1; minute < 5; minute += 1) await run(hidden, minute, 900);
    const slow = await run(contextId, 20, 100);
    expect((await read(first)).comparison).toBeNull();
    const { comparison, recommendations } = await read(slow);
    expect(comparison).toMatchObject({
      runs: 12,
      percentile: 100,
      p50Ms: 31,
      p95Ms: 32,
      deviation: { anomalous: true },
    });
    expect(comparison.unusualSpans.map(({ operation }: Json) => operation).sort()).toEqual(['load', 'order']);
    expect(comparison.unusualSpans.find(({ operation }: Json) => operation === 'load')).toMatchObject({
      spanId: '00000000000000a2',
      durationMs: 100,
      deviation: { method: 'MAD', anomalous: true, baselineP50Ms: 11 },
    });
    expect(recommendations[0]).toMatchObject({ kind: 'SLOW_SPAN', savingMs: 89, spanIds: ['00000000000000a2'] });
    const within = await run(hidden, 21, 10);
    // Who sees the private context's trace sees its other runs too.
    expect((await read(within)).comparison.runs).toBe(17);
  });
});
