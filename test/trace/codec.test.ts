import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSqlEventLog } from '#shared/eventLog.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { sameDocument, validateEvent, validateProtocolObject } from '../../schema/protocol/index.ts';
import { traceCodec } from '../../subgraphs/trace/codec.ts';
import { openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const alice = principal('alice');
const contextId = newId();

function minimal() {
  const id = newId();
  return {
    meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
    trace_id: id,
    context_id: contextId,
    root_span: { trace_id: id, span_id: newId() },
    status: 'running',
  };
}
const [parent, child, planId] = [newId(), newId(), newId()];
const documents = [
  minimal(),
  { ...minimal(), segments: [], events: [], governance: {}, status: 'failed' },
  {
    ...minimal(),
    status: 'completed',
    plan_id: planId,
    started_at: '2026-01-01T10:00:00.123456+05:30',
    finished_at: '1990-12-31T23:59:60Z',
    segments: [
      { segment_id: child, parent_segment_id: parent, label: 'ä', status: 'skipped', attributes: { 'a.b': [1, null] } },
      { segment_id: parent, label: '', status: 'failed', started_at: '2026-01-01T10:00:00Z' },
    ],
    events: [
      { event_id: newId(), event_type: 'b.two', source: '', timestamp: '2026-01-02T00:00:00.5Z', data: null },
      { event_id: newId(), event_type: 'a.one', source: 's', timestamp: '2026-01-01T00:00:00Z', data: { x: 1 } },
    ],
  },
];

test('what is imported is given back to the letter, and can be read as spans and events', async () => {
  rig.openContext('one', null, contextId);
  for (const document of documents) expect(validateProtocolObject('trace', document)).toEqual([]);
  await rig.sql.begin(async (tx) => appendChange(tx, 'trace', await traceCodec.write(tx, alice, documents)));
  const ids = documents.map(({ trace_id }) => trace_id);
  expect(await traceCodec.idsOfContext(rig.sql, 'one', contextId)).toEqual(ids);
  const read = await traceCodec.read(rig.sql, 'one', ids);
  for (const document of documents) expect(sameDocument(read.get(document.trace_id), document)).toBe(true);
  expect((await traceCodec.read(rig.sql, 'two', ids)).size).toBe(0);

  const { trace } = await rig.ask(
    alice,
    'query ($id: ID!) { trace(traceId: $id) { status spanCount errorCount planId spans { name status parentSpanId } events { nodes { type source } } } }',
    { id: ids[2] },
  );
  expect(trace).toMatchObject({ status: 'COMPLETED', spanCount: 2, errorCount: 1, planId });
  expect(trace.spans).toHaveLength(2);
  expect(trace.events.nodes.map(({ type }: { type: string }) => type)).toEqual(['a.one', 'b.two']);
});

test('a native trace is a valid object of the protocol', async () => {
  const context = rig.openContext();
  const { createTrace } = await rig.ask(
    alice,
    'mutation ($id: ID!) { createTrace(input: { contextId: $id, name: "run" }) { trace { id } } }',
    { id: context },
  );
  const { id } = createTrace.trace;
  await rig.ask(
    alice,
    `mutation ($id: ID!) { addSpans(traceId: $id, spans: [
      { spanId: "00000000000000a1", name: "root", service: "s", startTimeUnixNano: "1767225600000000001", endTimeUnixNano: "1767225601000000000" }
      { spanId: "00000000000000a2", parentSpanId: "00000000000000a1", name: "child", service: "s", status: ERROR, startTimeUnixNano: "1767225600500000000", endTimeUnixNano: "1767225600600000000" }
    ]) { accepted userErrors { code } } }`,
    { id },
  );
  await rig.ask(alice, 'mutation ($id: ID!) { endTrace(traceId: $id) { userErrors { code } } }', { id });
  const document = (await traceCodec.read(rig.sql, 'one', [id])).get(id)!;
  expect(validateProtocolObject('trace', document)).toEqual([]);
  expect(document).toMatchObject({ trace_id: id, context_id: context, status: 'completed' });
  expect(document['root_span']).toMatchObject({ trace_id: id, context_id: context });
  const segments = document['segments'] as Record<string, unknown>[];
  expect(segments.map(({ label, status }) => [label, status])).toEqual([
    ['root', 'completed'],
    ['child', 'failed'],
  ]);
  expect(segments[1]!['parent_segment_id']).toBe(segments[0]!['segment_id']);
  expect(document['events']).toHaveLength(1);
});

test('what a trace came to is observed once, when it ends', async () => {
  rig.openContext('one', null, contextId);
  const startNs = BigInt(Date.now()) * 1_000_000n;
  const { startTrace } = await rig.ask(
    alice,
    'mutation ($input: CreateTraceInput!, $rootSpan: TraceSpanInput!) { startTrace(input: $input, rootSpan: $rootSpan) { trace { id } } }',
    {
      input: { contextId, name: 'told in no summary' },
      rootSpan: {
        ...{ spanId: '00000000000000a1', name: 'root', service: 'shop', status: 'ERROR' },
        ...{ startTimeUnixNano: String(startNs), endTimeUnixNano: String(startNs + 1_500_000n) },
      },
    },
  );
  const { id } = startTrace.trace;
  await rig.ask(alice, 'mutation ($id: ID!) { endTrace(traceId: $id, outcome: FAILED) { userErrors { code } } }', {
    id,
  });
  const log = createSqlEventLog({ sqlOf: () => rig.sql });
  const events = await log.read({ module: 'trace', tenantId: 'one', streamId: id, afterSequence: 0, limit: 100 });
  const observed = events.flatMap((event) => traceCodec.observe!(event));
  expect(observed).toMatchObject([
    {
      ...{ event_type: 'trace_cost_summary', event_family: 'cost_budget', project_id: contextId },
      payload: {
        trace_id: id,
        status: 'failed',
        duration_ms: 1.5,
        span_count: 1,
        failed_span_count: 1,
        sampling_rate: 1,
      },
    },
  ]);
  expect(validateEvent(observed[0])).toEqual([]);
  expect(JSON.stringify(observed)).not.toContain('told in no summary');
});
