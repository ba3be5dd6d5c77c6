import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGatherer } from '../../subgraphs/trace/live/figures.ts';
import { addTo, createHistogram, quantileOf } from '../../subgraphs/trace/live/histogram.ts';
import { type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

describe('quantiles', () => {
  it('hold to within 1 % of the nearest rank', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.95, 1),
        (values, q) => {
          const histogram = createHistogram();
          for (const value of values) addTo(histogram, value);
          const exact = values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)]!;
          expect(Math.abs(quantileOf(histogram, q) - exact)).toBeLessThanOrEqual(exact * 0.0101);
        },
      ),
    );
  });
});

describe('a window', () => {
  it('adds up by tenant and context, once, and bounds what it keeps', () => {
    const gatherer = createGatherer();
    const [one, other] = [
      { tenantId: 't', contextId: 'a' },
      { tenantId: 't', contextId: null },
    ];
    gatherer.note(one, {
      started: true,
      spans: [
        { startNs: '1000000', endNs: '11000000', status: 'ok' },
        { startNs: '1000000', endNs: null, status: 'error' },
      ],
    });
    gatherer.note(one, { ended: true, endedSpans: [{ startNs: '0', endNs: '30000000' }] });
    gatherer.note(other, {
      metrics: [...Array(60).keys()].map((at) => ({ name: `m${at}`, unit: null, value: -1e308 })),
    });
    gatherer.note(other, { metrics: [{ name: 'm0', unit: null, value: -1e308 }] });
    const [first, second] = gatherer.take();
    expect(first).toMatchObject({
      contextId: 'a',
      spans: 2,
      failedSpans: 1,
      tracesStarted: 1,
      tracesEnded: 1,
      droppedMetrics: 0,
    });
    expect(first!.figures).toEqual([
      {
        metric: 'span.duration',
        unit: 'ms',
        count: 2,
        sum: 40,
        min: 10,
        max: 30,
        mean: 20,
        p50: expect.closeTo(10, 0),
        p95: expect.closeTo(30, 0),
      },
    ]);
    expect(second).toMatchObject({ contextId: null, droppedMetrics: 10 });
    expect(second!.figures).toHaveLength(50);
    expect(second!.figures[0]).toMatchObject({ count: 2, sum: -Number.MAX_VALUE });
    expect(gatherer.take()).toEqual([]);
  });
});

describe('realtimeMetrics', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode: 'one process' });
  });
  afterAll(() => platform.close());
  const errors = 'userErrors { code message }';

  it('tells what was committed, to those who see its context', async () => {
    const tokenOf = (subject: string) => platform.token({ tenant: 'live', subject });
    const [alice, bob] = [await tokenOf('alice'), await tokenOf('bob')];
    const ask = async (document: string, variables: Record<string, unknown>): Promise<Json> => {
      const answer = await platform.query<Json>(document, variables, { token: alice });
      expect(answer.errors).toEqual([]);
      const payload = Object.values(answer.data!)[0] as Json;
      expect(payload.userErrors).toEqual([]);
      return payload;
    };
    const makeContext = async (visibility: string): Promise<string> =>
      (
        await ask(
          `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
          {
            input: { title: 'room', root: { domain: 'd', environment: 'e' }, accessControl: { visibility } },
          },
        )
      ).context.id;
    const [open, hidden] = [await makeContext('TENANT'), await makeContext('PRIVATE')];
    const work = async (contextId: string) => {
      const { trace } = await ask(
        `mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
        {
          input: { contextId, name: 'run' },
        },
      );
      const at = (ms: number) => `${Date.now() + ms}000000`;
      await ask(
        `mutation ($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted ${errors} } }`,
        {
          id: trace.id,
          spans: [1, 2, 3].map((n) => ({
            spanId: n.toString(16).padStart(16, '0'),
            name: 'work',
            service: 'shop',
            startTimeUnixNano: at(0),
            endTimeUnixNano: at(10),
            status: n === 1 ? 'ERROR' : 'OK',
          })),
        },
      );
      await ask(
        `mutation ($id: ID!) { recordMetrics(traceId: $id, metrics: [{ name: "tokens", value: 7, unit: "1" }]) { ${errors} } }`,
        { id: trace.id },
      );
      await ask(`mutation ($id: ID!) { endTrace(traceId: $id) { ${errors} } }`, { id: trace.id });
    };
    const follow = (token: string, contextId: string | null) =>
      subscribe<{ realtimeMetrics: Json }>({
        url: platform.url,
        query: `subscription ($contextId: ID) { realtimeMetrics(contextId: $contextId) { contextId from to spans failedSpans tracesStarted tracesEnded
          figures { metric unit count sum p50 } } }`,
        variables: { contextId },
        token,
      });
    // Both contexts are known to the module once a trace of theirs was made.
    await Promise.all([work(open), work(hidden)]);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const [mine, his, ofHidden, ofNone] = [
      follow(alice, null),
      follow(bob, null),
      follow(alice, hidden),
      follow(bob, hidden),
    ];
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await Promise.all([work(open), work(hidden)]);
    const totalsOf = (payloads: readonly { realtimeMetrics: Json }[], contextId: string) => {
      const own = payloads
        .map(({ realtimeMetrics }) => realtimeMetrics)
        .filter((window) => window.contextId === contextId);
      const sum = (read: (window: Json) => number) => own.reduce((total, window) => total + read(window), 0);
      const count = (metric: string) =>
        sum((window) => window.figures.find((figure: Json) => figure.metric === metric)?.count ?? 0);
      return [
        sum(({ spans }) => spans),
        sum(({ failedSpans }) => failedSpans),
        sum(({ tracesStarted }) => tracesStarted),
        sum(({ tracesEnded }) => tracesEnded),
        count('span.duration'),
        count('tokens'),
      ];
    };
    const whole = [3, 1, 1, 1, 3, 1];
    await mine.until((payloads) => totalsOf(payloads, open)[3] === 1 && totalsOf(payloads, hidden)[3] === 1, 20_000);
    expect(totalsOf(mine.payloads, open)).toEqual(whole);
    expect(totalsOf(mine.payloads, hidden)).toEqual(whole);
    await his.until((payloads) => totalsOf(payloads, open)[3] === 1, 20_000);
    expect(totalsOf(his.payloads, open)).toEqual(whole);
    expect(his.payloads.every(({ realtimeMetrics }) => realtimeMetrics.contextId !== hidden)).toBe(true);
    await ofHidden.until((payloads) => totalsOf(payloads, hidden)[3] === 1, 20_000);
    expect(ofHidden.payloads.every(({ realtimeMetrics }) => realtimeMetrics.contextId === hidden)).toBe(true);
    await expect.poll(() => JSON.stringify(ofNone.errors), { timeout: 5_000 }).toContain('NOT_FOUND');
    await Promise.all([mine, his, ofHidden, ofNone].map((stream) => stream.close()));
  }, 90_000);
});
