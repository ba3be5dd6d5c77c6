import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBaggage, parseBaggage } from '../../subgraphs/trace/ids/baggage.ts';
import { isTraceIdHex, traceIdHexOf, traceIdOf } from '../../subgraphs/trace/ids/traceIds.ts';
import { formatTraceparent, parseTraceparent } from '../../subgraphs/trace/ids/traceparent.ts';
import { formatTracestate, parseTracestate } from '../../subgraphs/trace/ids/tracestate.ts';
import { readExportRequest } from '../../subgraphs/trace/otlp/readRequest.ts';
import { writeExportRequest } from '../../subgraphs/trace/otlp/writeRequest.ts';

const hex = (length: number) =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
    .filter((s) => !/^0+$/.test(s));

const good = {
  traceId: '5b8efff798038103d269b633813fc60c',
  spanId: 'eee19b7ec3c1b174',
  name: 'GET /',
  kind: 2,
  startTimeUnixNano: '1544712660000000001',
  endTimeUnixNano: '1544712661000000002',
};

function request(...spans: unknown[]) {
  return {
    resourceSpans: [
      { resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] }, scopeSpans: [{ spans }] },
    ],
  };
}

describe('W3C headers', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
        expect(parseTraceparent(formatTraceparent({ traceId, spanId, sampled }))).toEqual({ traceId, spanId, sampled });
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const value = text.toWellFormed();
        expect(parseBaggage(formatBaggage([{ key: 'k', value, properties: ['p=1'] }]))).toEqual([
          { key: 'k', value, properties: ['p=1'] },
        ]);
      }),
    );
    const state = 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7';
    expect(formatTracestate(parseTracestate(state)!)).toBe(state);
  });

  it.each([
    '00-00000000000000000000000000000000-eee19b7ec3c1b174-01',
    '00-5b8efff798038103d269b633813fc60c-0000000000000000-01',
    'ff-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01',
    '00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01-more',
    '00-5B8EFFF798038103D269B633813FC60C-eee19b7ec3c1b174-01',
  ])('ignores traceparent %s', (header) => expect(parseTraceparent(header)).toBeNull());

  it('discards a tracestate with a doubled or malformed key', () => {
    expect(parseTracestate('a=1,a=2')).toBeNull();
    expect(parseTracestate('A=1')).toBeNull();
  });

  it('keeps a trace id that is a UUID v4 and maps every other one to the same v4 each time', () => {
    const own = '0f8fad5b-d9cb-469f-a165-70867728950e';
    expect(traceIdOf(traceIdHexOf(own))).toBe(own);
    fc.assert(
      fc.property(hex(32), (id) => {
        expect(traceIdOf(id)).toBe(traceIdOf(id));
        expect(isTraceIdHex(traceIdHexOf(traceIdOf(id)))).toBe(true);
      }),
    );
  });
});

describe('OTLP/JSON', () => {
  it('reads ids as hex and as base64 and keeps nanoseconds', () => {
    const base64 = (id: string) => Buffer.from(id, 'hex').toString('base64');
    const { spans } = readExportRequest(
      request(good, { ...good, traceId: base64(good.traceId), spanId: base64(good.spanId) }),
    );
    expect(spans[1]).toEqual(spans[0]);
    expect(spans[0]).toMatchObject({ service: 'shop', kind: 'server', startNs: '1544712660000000001' });
  });

  it('rejects each bad span by itself', () => {
    const { spans, rejected } = readExportRequest(
      request(
        { ...good, endTimeUnixNano: '1544712659000000000' },
        good,
        { ...good, traceId: '0'.repeat(32) },
        { ...good, startTimeUnixNano: '-5' },
        { ...good, startTimeUnixNano: '9999999999999999999' },
        { ...good, kind: 9 },
        { ...good, name: 7 },
      ),
    );
    expect(spans).toHaveLength(1);
    expect(rejected.map(({ index }) => index)).toEqual([0, 2, 3, 4, 5, 6]);
    expect(rejected[0]!.reason).toBe('endTimeUnixNano: expected 1544712660000000001 or later, got 1544712659000000000');
  });

  it.each([null, 7, [], { resourceSpans: {} }, { resourceSpans: [7] }])('refuses %j as a request', (value) => {
    expect(() => readExportRequest(value)).toThrow(/expected a list of objects/);
  });

  it('bounds attributes, counts what is dropped, masks secrets', () => {
    const attributes = [
      { key: 'http.request.header.authorization', value: { stringValue: 'Bearer x' } },
      { key: 'long', value: { stringValue: 'x'.repeat(2_000) } },
      { key: 'int', value: { intValue: '12' } },
      { key: 'big', value: { intValue: '9223372036854775807' } },
      { key: '__proto__', value: { boolValue: true } },
      ...Array.from({ length: 130 }, (_, index) => ({ key: `k${index}`, value: { intValue: index } })),
    ];
    const [span] = readExportRequest(request({ ...good, attributes })).spans;
    expect(span!.attributes['http.request.header.authorization']).toBe('***');
    expect(span!.attributes['long']).toHaveLength(1_024);
    expect(span!.attributes['int']).toBe(12);
    expect(span!.attributes['big']).toBe('9223372036854775807');
    expect(Object.keys(span!.attributes)).toHaveLength(128);
    expect(span!.droppedAttributes).toBe(7);
  });

  it('reads back what it writes', () => {
    const full = {
      ...good,
      parentSpanId: 'aaa19b7ec3c1b174',
      attributes: [
        { key: 'list', value: { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'two' }] } } },
        { key: 'map', value: { kvlistValue: { values: [{ key: 'x', value: { doubleValue: 0.5 } }] } } },
      ],
      events: [{ timeUnixNano: '1544712660300000000', name: 'retry' }],
      links: [{ traceId: good.traceId, spanId: 'bbb19b7ec3c1b174' }],
      status: { code: 2, message: 'broken' },
    };
    const { spans } = readExportRequest(request(full));
    expect(readExportRequest(JSON.parse(JSON.stringify(writeExportRequest(spans)))).spans).toEqual(spans);
  });
});
