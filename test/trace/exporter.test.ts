import {
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace as traceApi,
} from '@opentelemetry/api';
import { type ExportResult, ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import type { Json } from './rig.ts';

let platform: Platform;
let token: string;
let other: string;

beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  token = await platform.token({ tenant: 'one', subject: 'reporter', roles: ['admin'] });
  other = await platform.token({ tenant: 'two', subject: 'stranger', roles: ['admin'] });
}, 60_000);
afterAll(() => platform.close());

function exporterOf(options: { readonly compression?: string; readonly authorization?: string } = {}) {
  return new OTLPTraceExporter({
    url: new URL('/v1/traces', platform.url).href,
    headers: { authorization: options.authorization ?? `Bearer ${token}` },
    compression: (options.compression ?? 'none') as never,
    timeoutMillis: 10_000,
  });
}

/** Exports in one request, as a batch processor does. */
function send(exporter: OTLPTraceExporter, spans: readonly ReadableSpan[]): Promise<ExportResult> {
  return new Promise((resolve) => exporter.export([...spans], resolve));
}

/** Spans of a service as the SDK makes them; they are sent by the test. */
function tracerOf(service: string) {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': '1.2.3' }),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  return { tracer: provider.getTracer('walk', '1.0.0'), finished: () => memory.getFinishedSpans() };
}

const below = (span: Span) => traceApi.setSpan(ROOT_CONTEXT, span);

async function read(externalTraceId: string, as = token): Promise<Json> {
  const { data, errors } = await platform.query<Json>(
    `query ($id: ID!) { distributedTrace(externalTraceId: $id) { services missingParents completeness crossServiceCalls traces {
       w3cId name status spanCount errorCount spans { spanId parentSpanId name service kind status statusMessage attributes
       startTimeUnixNano endTimeUnixNano events { name timeUnixNano attributes } links { traceId spanId attributes } } } } }`,
    { id: externalTraceId },
    { token: as },
  );
  expect(errors).toEqual([]);
  return data!['distributedTrace'];
}

const nanoseconds = ([seconds, rest]: readonly [number, number] | readonly number[]) =>
  String(BigInt(seconds!) * 1_000_000_000n + BigInt(rest!));

/** A purchase that fails in its payment, and the spans that tell of it. */
function purchase() {
  const shop = tracerOf('shop');
  const earlier = shop.tracer.startSpan('earlier', {}, ROOT_CONTEXT);
  earlier.end();
  const root = shop.tracer.startSpan(
    'POST /orders',
    {
      kind: SpanKind.SERVER,
      attributes: { 'http.request.method': 'POST', retries: 2, ratio: 0.5, vip: true, tags: ['a', 'b'] },
      links: [{ context: earlier.spanContext(), attributes: { why: 'retry' } }],
    },
    ROOT_CONTEXT,
  );
  root.addEvent('accepted', { 'order.id': 'o-7' });
  const pay = shop.tracer.startSpan('pay', { kind: SpanKind.CLIENT, attributes: { 'api-key': 'hush' } }, below(root));
  pay.recordException(new Error('card declined'));
  pay.setStatus({ code: SpanStatusCode.ERROR, message: 'card declined' });
  pay.end();
  root.setStatus({ code: SpanStatusCode.OK });
  root.end();
  return { root, pay, earlier, spans: shop.finished().filter((span) => span.name !== 'earlier') };
}

describe.each(['none', 'gzip'])('the exporter of OpenTelemetry, compression %s', (compression) => {
  it('has every span read back as it was made', async () => {
    const { root, pay, earlier, spans } = purchase();
    const exporter = exporterOf({ compression });
    expect((await send(exporter, spans)).code).toBe(ExportResultCode.SUCCESS);
    await exporter.shutdown();

    const { traceId } = root.spanContext();
    const whole = await read(traceId);
    expect(whole).toMatchObject({ services: ['shop'], missingParents: [], completeness: 1 });
    const [stored] = whole.traces;
    expect(stored).toMatchObject({
      w3cId: traceId,
      name: 'POST /orders',
      status: 'COMPLETED',
      spanCount: 2,
      errorCount: 1,
    });
    const byName = new Map<string, Json>(stored.spans.map((span: Json) => [span.name, span]));
    for (const span of spans) {
      const kept = byName.get(span.name)!;
      expect(kept).toMatchObject({
        spanId: span.spanContext().spanId,
        service: 'shop',
        startTimeUnixNano: nanoseconds(span.startTime),
        endTimeUnixNano: nanoseconds(span.endTime),
      });
      expect(kept.events.map((event: Json) => [event.name, event.timeUnixNano])).toEqual(
        span.events.map((event) => [event.name, nanoseconds(event.time)]),
      );
    }
    expect(byName.get('POST /orders')).toMatchObject({
      parentSpanId: null,
      kind: 'SERVER',
      status: 'OK',
      attributes: { 'http.request.method': 'POST', retries: 2, ratio: 0.5, vip: true, tags: ['a', 'b'] },
      events: [{ name: 'accepted', attributes: { 'order.id': 'o-7' } }],
      links: [
        { traceId: earlier.spanContext().traceId, spanId: earlier.spanContext().spanId, attributes: { why: 'retry' } },
      ],
    });
    expect(byName.get('pay')).toMatchObject({
      parentSpanId: root.spanContext().spanId,
      kind: 'CLIENT',
      status: 'ERROR',
      statusMessage: 'card declined',
      attributes: { 'api-key': '***' },
      events: [{ name: 'exception', attributes: { 'exception.message': 'card declined' } }],
    });
    expect(pay.spanContext().traceId).toBe(traceId);
    expect(await read(traceId, other)).toBeNull();
  });
});

it('sent twice, as after an answer that was lost, is stored once', async () => {
  const { root, spans } = purchase();
  const exporter = exporterOf();
  for (let time = 0; time < 2; time += 1) expect((await send(exporter, spans)).code).toBe(ExportResultCode.SUCCESS);
  await exporter.shutdown();
  expect((await read(root.spanContext().traceId)).traces[0]).toMatchObject({ spanCount: 2, errorCount: 1 });
});

it('keeps the good spans of a batch with a bad one', async () => {
  const { root, spans } = purchase();
  // Ends before it starts.
  const bad = new Proxy(spans[0]!, {
    get: (span, name) => (name === 'endTime' ? [1, 0] : Reflect.get(span, name)),
  });
  const exporter = exporterOf();
  // A partial success is a success for the exporter: it is not to send the batch again.
  expect((await send(exporter, [bad, ...spans.slice(1)])).code).toBe(ExportResultCode.SUCCESS);
  await exporter.shutdown();
  const { traces } = await read(root.spanContext().traceId);
  expect(traces[0].spans.map(({ name }: Json) => name)).toEqual(spans.slice(1).map(({ name }) => name));
});

it('tells the exporter that a token is none', async () => {
  const exporter = exporterOf({ authorization: 'Bearer nonsense' });
  const { code, error } = await send(exporter, purchase().spans);
  await exporter.shutdown();
  expect(code).toBe(ExportResultCode.FAILED);
  expect(error).toMatchObject({ code: 401 });
});

it('joins services by the W3C headers that the SDK hands on', async () => {
  const propagator = new W3CTraceContextPropagator();
  const web = tracerOf('web');
  const stock = tracerOf('stock');
  const call = web.tracer.startSpan('GET stock', { kind: SpanKind.CLIENT }, ROOT_CONTEXT);
  const headers: Record<string, string> = {};
  propagator.inject(below(call), headers, defaultTextMapSetter);
  const served = stock.tracer.startSpan(
    'GET /stock',
    { kind: SpanKind.SERVER },
    propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter),
  );
  served.end();
  call.end();
  const exporter = exporterOf();
  // The services report one after the other, the one below first.
  for (const { finished } of [stock, web])
    expect((await send(exporter, finished())).code).toBe(ExportResultCode.SUCCESS);
  await exporter.shutdown();

  const { traceId } = call.spanContext();
  const whole = await read(traceId);
  expect(whole).toMatchObject({ services: ['stock', 'web'], crossServiceCalls: 1, completeness: 1 });
  const inner = whole.traces[0].spans.find(({ service }: Json) => service === 'stock');
  expect(inner.parentSpanId).toBe(call.spanContext().spanId);

  // What the graph makes of the headers, and makes itself, is what the SDK makes.
  const { data } = await platform.query<Json>(
    'query ($header: String!) { extractContext(traceparent: $header) { externalTraceId spanId sampled } }',
    { header: headers['traceparent'] },
    { token },
  );
  expect(data!['extractContext']).toEqual({
    externalTraceId: traceId,
    spanId: call.spanContext().spanId,
    sampled: true,
  });
  const list = await platform.query<Json>('{ traces(first: 100) { nodes { id w3cId } } }', {}, { token });
  const { id } = list.data!['traces'].nodes.find(({ w3cId }: Json) => w3cId === traceId);
  const injected = await platform.query<Json>(
    'query ($id: ID!, $span: ID!) { injectContext(traceId: $id, spanId: $span) { traceparent } }',
    { id, span: call.spanContext().spanId },
    { token },
  );
  const again = traceApi.getSpanContext(
    propagator.extract(ROOT_CONTEXT, injected.data!['injectContext'], defaultTextMapGetter),
  );
  expect(again).toMatchObject({ traceId, spanId: call.spanContext().spanId });
});
