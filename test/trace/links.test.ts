import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const alice = principal('alice');

async function trace(contextId: string, links: readonly string[] = []) {
  const { startTrace } = await rig.ask(
    alice,
    `mutation ($context: ID!, $links: [TraceSpanLinkInput!]) {
       startTrace(input: { contextId: $context, name: "linked" }, rootSpan: { spanId: "00000000000000c1", name: "root", service: "s",
         startTimeUnixNano: "1767225600000000000", endTimeUnixNano: "1767225601000000000", links: $links }) {
         trace { id w3cId } userErrors { code } } }`,
    { context: contextId, links: links.map((traceId) => ({ traceId, spanId: '00000000000000c1' })) },
  );
  return startTrace.trace as { id: string; w3cId: string };
}

test('who links to a trace is found from it, by an index of the spans that link', async () => {
  const caller = await trace(rig.openContext());
  const [called, other] = [await trace(rig.openContext(), [caller.w3cId]), await trace(rig.openContext())];
  const { trace: asked, distributedTrace } = await rig.ask(
    alice,
    `query ($id: ID!) { trace(traceId: $id) { correlations { relatedTraceId type strength causeId } }
       distributedTrace(traceId: $id) { related { traceId reason } } }`,
    { id: caller.id },
  );
  expect(asked.correlations[0]).toMatchObject({ relatedTraceId: called.id, type: 'CAUSATION', strength: 1 });
  expect(distributedTrace.related).toEqual([{ traceId: called.id, reason: 'LINK' }]);
  const unlinked = await rig.ask(alice, 'query ($id: ID!) { trace(traceId: $id) { correlations { type } } }', {
    id: other.id,
  });
  expect(unlinked.trace.correlations).toEqual([]);

  const plan = await rig.sql.begin(async (tx) => {
    await tx.unsafe('SET LOCAL enable_seqscan = off');
    return tx.unsafe(
      `EXPLAIN SELECT trace_id FROM trace.span WHERE detail->'links' <> '[]'::jsonb AND detail->'links' @> '[{"traceId": "${caller.w3cId}"}]'`,
    );
  });
  expect(JSON.stringify(plan)).toContain('Bitmap Index Scan');
});
