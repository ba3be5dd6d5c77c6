import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const [alice, bob] = [principal('alice'), principal('bob')];
const admin = createPrincipal({ tenantId: 'one', subject: 'root', scopes: ['*'] });
beforeAll(async () => {
  rig = await openTraceRig({ TRACE_HISTORY: 'off' });
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A trace as another module's events make it: of a context that nobody told this module of. */
async function traceOf(contextId: string): Promise<string> {
  const id = crypto.randomUUID();
  await rig.sql`INSERT INTO trace.trace (tenant_id, id, w3c_id, context_id, name, status, created_by)
    VALUES ('one', ${id}, ${id.replaceAll('-', '')}, ${contextId}, 't', 'running', 'system:trace')`;
  return id;
}
const see = async (who: typeof alice, id: string, contextId: string) => {
  const { trace, byId, traces, traceStatistics, distributedTrace }: Json = await rig.ask(
    who,
    `query($id: ID!, $context: ID!) { trace(traceId: $id) { id } byId: traceAnalysis(traceId: $id) { grade }
       distributedTrace(traceId: $id) { services }
       traces(filter: { contextId: $context }) { nodes { id } } traceStatistics(filter: { contextId: $context }) { count } }`,
    { id, context: contextId },
  );
  expect([byId, distributedTrace]).toEqual([null, null]);
  return [trace?.id ?? null, traces.nodes.length, traceStatistics.count];
};
const refusals = async (who: typeof alice, id: string) => {
  const span = { spanId: '00000000000000a1', name: 'w', service: 's', startTimeUnixNano: `${Date.now()}000000` };
  const { a, b, c, d }: Json = await rig.ask(
    who,
    `mutation($id: ID!, $spans: [TraceSpanInput!]!) { a: addSpans(traceId: $id, spans: $spans) { userErrors { code } }
       b: recordMetrics(traceId: $id, metrics: [{ name: "m", value: 1 }]) { userErrors { code } }
       c: endTrace(traceId: $id, outcome: CANCELLED) { userErrors { code } } d: deleteTrace(traceId: $id) { userErrors { code } } }`,
    { id, spans: [span] },
  );
  return [a, b, c, d].map(({ userErrors }) => userErrors[0]?.code ?? null);
};

test('a private context that was not heard of yet hides its traces from all but who the graph shows it to', async () => {
  const contextId = rig.openContext('one', 'alice');
  const id = await traceOf(contextId);
  expect(await see(bob, id, contextId)).toEqual([null, 0, 0]);
  expect(await refusals(bob, id)).toEqual(Array.from({ length: 4 }, () => 'NOT_FOUND'));
  expect((await see(alice, id, contextId))[0]).toBe(id);
  // From now on it is known, to lists too.
  expect(await see(alice, id, contextId)).toEqual([id, 1, 1]);
  expect(await see(bob, id, contextId)).toEqual([null, 0, 0]);
  expect(await see(admin, id, contextId)).toEqual([id, 1, 1]);
});

test('an open one shows its traces once it was looked up', async () => {
  const contextId = rig.openContext();
  const id = await traceOf(contextId);
  expect((await see(bob, id, contextId))[0]).toBe(id);
  expect(await see(bob, id, contextId)).toEqual([id, 1, 1]);
});

test('what nobody knows of is seen by who sees every context alone', async () => {
  const contextId = crypto.randomUUID();
  const id = await traceOf(contextId);
  expect(await see(alice, id, contextId)).toEqual([null, 0, 0]);
  expect(await refusals(alice, id)).toEqual(Array.from({ length: 4 }, () => 'NOT_FOUND'));
  expect(await see(admin, id, contextId)).toEqual([id, 1, 1]);
});
