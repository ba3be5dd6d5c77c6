import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { formatB3, parseB3, parseB3Headers } from '../../subgraphs/trace/ids/b3.ts';
import { formatJaeger, parseJaeger } from '../../subgraphs/trace/ids/jaeger.ts';
import { brokenForm, readPropagation } from '../../subgraphs/trace/ids/propagation.ts';
import { traceIdOf } from '../../subgraphs/trace/ids/traceIds.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

const hex = (length: number) =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
    .filter((text) => !/^0+$/.test(text));
const long = '5b8efff798038103d269b633813fc60c';
const short = 'd269b633813fc60c';
const span = 'eee19b7ec3c1b174';
const parent = 'aaa19b7ec3c1b174';

describe('B3 and Jaeger headers', () => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
        const reference = { traceId, spanId, sampled };
        expect(parseB3(formatB3(reference))).toEqual({ ...reference, parentSpanId: null, isDebug: false });
        expect(parseJaeger(formatJaeger(reference))).toEqual({ ...reference, parentSpanId: null, isDebug: false });
      }),
    );
  });

  it('name the same span in all forms, with ids of 64 bits or 128, leading zeros or none', () => {
    fc.assert(
      fc.property(
        fc.oneof(hex(16), hex(32)),
        hex(16),
        hex(16),
        fc.boolean(),
        (traceId, spanId, parentSpanId, sampled) => {
          const expected = { traceId: traceId.padStart(32, '0'), spanId, parentSpanId, sampled, isDebug: false };
          const state = sampled ? '1' : '0';
          expect(parseB3(`${traceId}-${spanId}-${state}-${parentSpanId}`)).toEqual(expected);
          expect(parseB3Headers({ traceId, spanId, parentSpanId, sampled: state })).toEqual(expected);
          const bare = (id: string) => id.replace(/^0+/, '');
          for (const colon of [':', '%3A'])
            expect(parseJaeger([bare(traceId), bare(spanId), bare(parentSpanId), state].join(colon))).toEqual(expected);
        },
      ),
    );
  });

  it('are ignored where they are anything else, and never throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        for (const found of [parseB3(text), parseJaeger(text), parseB3Headers({ traceId: text, spanId: text })])
          expect(found).toBeNull();
      }),
    );
    // One character off.
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('g', 'A', ' ', '-', ':', 'é'), (place, wrong) => {
        const good = `${long}-${span}-1-${parent}`;
        const at = place % 49;
        if (good[at] === '-') return;
        expect(parseB3(good.slice(0, at) + wrong + good.slice(at + 1))).toBeNull();
      }),
    );
  });

  it.each([
    '0',
    'd',
    long,
    `${long}-${span}-2`,
    `${long}-${span}-true`,
    `${long}-${span}-1-${parent}-1`,
    `${long}-${span}-1-`,
    `${long.slice(1)}-${span}-1`,
    `${'0'.repeat(32)}-${span}-1`,
    `${long}-${'0'.repeat(16)}-1`,
    `${long.toUpperCase()}-${span}-1`,
  ])('b3 %s names no span', (header) => expect(parseB3(header)).toBeNull());

  it.each([
    `${long}:${span}:0`,
    `${long}:${span}:0:1:1`,
    `${long}0:${span}:0:1`,
    `0:${span}:0:1`,
    `${long}:0:0:1`,
    `${long}:${span}::1`,
    `${long}:${span}:0:100`,
    `${long}:${span}:0:x`,
  ])('uber-trace-id %s is ignored', (header) => expect(parseJaeger(header)).toBeNull());

  it.each([
    [{ traceId: short, spanId: span }, null, false],
    [{ traceId: short, spanId: span, sampled: 'true' }, true, false],
    [{ traceId: short, spanId: span, sampled: '0' }, false, false],
    [{ traceId: short, spanId: span, sampled: '0', flags: '1' }, true, true],
  ])('X-B3 %j are sampled %j, debug %j', (headers, sampled, isDebug) =>
    expect(parseB3Headers(headers)).toMatchObject({ traceId: short.padStart(32, '0'), sampled, isDebug }),
  );

  it.each([
    { traceId: short, spanId: span, sampled: 'yes' },
    { traceId: short, spanId: span, flags: '2' },
    { traceId: short, spanId: span, parentSpanId: 'x' },
    { traceId: '', spanId: span },
  ])('X-B3 %j are ignored', (headers) => expect(parseB3Headers(headers)).toBeNull());

  it('count in the order W3C, b3, X-B3, Jaeger, what cannot be read passed over and named', () => {
    const forms = {
      traceparent: `00-${'1'.repeat(32)}-${span}-01`,
      b3: `${'2'.repeat(32)}-${span}-d`,
      b3Headers: { traceId: '3'.repeat(32), spanId: span },
      uberTraceId: `${'4'.repeat(32)}:${span}:0:3`,
    };
    const first = (given: object) => readPropagation(given)?.reference.traceId[0] ?? null;
    expect(first(forms)).toBe('1');
    expect(first({ ...forms, traceparent: 'none' })).toBe('2');
    expect(first({ ...forms, traceparent: null, b3: '1' })).toBe('3');
    expect(first({ uberTraceId: forms.uberTraceId })).toBe('4');
    expect(first({})).toBeNull();
    expect(brokenForm(forms)).toBeNull();
    expect(brokenForm({ ...forms, b3: 'd' })).toBe('b3');
    expect(brokenForm({ traceparent: '' })).toBe('traceparent');
  });
});

describe('in the graph', () => {
  let rig: Awaited<ReturnType<typeof openTraceRig>>;
  const alice = principal('alice');
  beforeAll(async () => {
    rig = await openTraceRig({ TRACE_HISTORY: 'off', TRACE_ALERTS: 'off' });
  });
  afterAll(() => rig[Symbol.asyncDispose]());
  const create = async (headers: object): Promise<Json> =>
    (
      await rig.ask(
        alice,
        'mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id w3cId } userErrors { code path } } }',
        { input: { contextId: rig.openContext(), name: 't', ...headers } },
      )
    ).createTrace;

  test('a trace is the one that the headers of its caller name', async () => {
    const id = (n: number) => String(n).repeat(16);
    for (const [n, headers] of [
      [1, { b3: `${id(1)}-${span}-1` }],
      [2, { b3Headers: { traceId: id(2), spanId: span, sampled: '1' } }],
      [3, { uberTraceId: `${id(3)}:${span}:0:1` }],
    ] as const) {
      const w3cId = id(n).padStart(32, '0');
      expect((await create(headers)).trace).toEqual({ id: traceIdOf(w3cId), w3cId });
      // Once more it is there already.
      expect((await create(headers)).userErrors[0].code).toBe('CONFLICT');
    }
    for (const [name, value] of [
      ['b3', '0'],
      ['b3Headers', { traceId: 'x', spanId: span }],
      ['uberTraceId', 'x:y'],
      ['traceparent', ''],
    ] as const)
      expect((await create({ [name]: value })).userErrors).toMatchObject([
        { code: 'VALIDATION_FAILED', path: ['input', name] },
      ]);
  });

  test('what is injected is extracted again, and a short id finds its trace', async () => {
    const { trace } = await create({ uberTraceId: `${short}:${span}:0:1` });
    const { injectContext } = await rig.ask(
      alice,
      'query($id: ID!, $span: ID!) { injectContext(traceId: $id, spanId: $span) { traceparent b3 b3Headers { traceId spanId sampled } uberTraceId } }',
      { id: trace.id, span },
    );
    const extract = async (headers: Record<string, unknown>) =>
      (
        await rig.ask(
          alice,
          `query($traceparent: String, $tracestate: String, $b3: String, $b3Headers: TraceB3HeadersInput, $uberTraceId: String) {
             extractContext(traceparent: $traceparent, tracestate: $tracestate, b3: $b3, b3Headers: $b3Headers, uberTraceId: $uberTraceId) {
               format externalTraceId spanId parentSpanId sampled debug tracestate } }`,
          headers,
        )
      ).extractContext;
    const expected = {
      externalTraceId: short.padStart(32, '0'),
      spanId: span,
      parentSpanId: null,
      sampled: true,
      debug: false,
      tracestate: null,
    };
    const { traceparent, b3, b3Headers, uberTraceId } = injectContext;
    expect(await extract({ traceparent })).toEqual({ ...expected, format: 'W3C' });
    expect(await extract({ b3, tracestate: 'a=1' })).toEqual({ ...expected, format: 'B3_SINGLE' });
    expect(await extract({ b3Headers })).toEqual({ ...expected, format: 'B3_MULTI' });
    expect(await extract({ uberTraceId })).toEqual({ ...expected, format: 'JAEGER' });
    expect(await extract({ b3: `${short}-${span}-d-${parent}`, traceparent: 'bad' })).toMatchObject({
      format: 'B3_SINGLE',
      parentSpanId: parent,
      debug: true,
    });
    expect(await extract({})).toBeNull();
    expect(await extract({ b3: '1' })).toBeNull();
    await rig.ask(
      alice,
      'mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted } }',
      { id: trace.id, spans: [{ spanId: span, name: 'w', service: 's', startTimeUnixNano: `${Date.now()}000000` }] },
    );
    const { distributedTrace } = await rig.ask(
      alice,
      'query($id: ID!) { distributedTrace(externalTraceId: $id) { traces { id } } }',
      { id: short },
    );
    expect(distributedTrace.traces).toEqual([{ id: trace.id }]);
  });
});
