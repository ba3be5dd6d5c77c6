import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const [alice, bob] = [principal('alice'), principal('bob')];
beforeAll(async () => {
  rig = await openTraceRig({ TRACE_HISTORY: 'false' });
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A trace with one span of the operation, which ended; how long it took and how long ago it began, ms. */
async function run(contextId: string, { took, ago }: { readonly took: number; readonly ago: number }): Promise<string> {
  const startMs = Date.now() - ago;
  const rootSpan = {
    ...{ spanId: '00000000000000a1', name: 'pay', service: 'shop' },
    ...{ startTimeUnixNano: `${startMs}000000`, endTimeUnixNano: `${startMs + took}000000` },
  };
  const { startTrace } = await rig.ask(
    alice,
    `mutation($input: CreateTraceInput!, $span: TraceSpanInput!) { startTrace(input: $input, rootSpan: $span) { trace { id } userErrors { code } } }`,
    { input: { contextId, name: 'checkout' }, span: rootSpan },
  );
  const { id } = startTrace.trace;
  await rig.ask(alice, 'mutation($id: ID!) { endTrace(traceId: $id, outcome: COMPLETED) { userErrors { code } } }', {
    id,
  });
  return id;
}

const hours = (n: number) => n * 3_600_000;

test('what operations took in private contexts is a baseline for those alone who see them', async () => {
  const [hidden, open] = [rig.openContext('one', 'alice'), rig.openContext()];
  for (let n = 0; n < 12; n += 1) await run(hidden, { took: 10 + (n % 3), ago: hours(2) + n * 1_000 });
  await run(open, { took: 100, ago: 30_000 });
  const analysed = async (who: typeof alice) => {
    const { tracesAnalysis } = await rig.ask(
      who,
      'query($f: TraceFilter) { tracesAnalysis(filter: $f) { operations { operation deviation { baselineP50Ms } } } }',
      { f: { contextId: open, from: new Date(Date.now() - hours(1)).toISOString() } },
    );
    return tracesAnalysis.operations;
  };
  expect(await analysed(alice)).toEqual([{ operation: 'pay', deviation: { baselineP50Ms: 11 } }]);
  expect(await analysed(bob)).toEqual([{ operation: 'pay', deviation: null }]);
  // What all see is a baseline for all, and does not mix with what is hidden.
  for (let n = 0; n < 12; n += 1) await run(open, { took: 40 + (n % 3), ago: hours(3) + n * 1_000 });
  expect(await analysed(bob)).toEqual([{ operation: 'pay', deviation: { baselineP50Ms: 41 } }]);
});

test('a trace that others read too is measured by what all of them see', async () => {
  const [hidden, open] = [rig.openContext('one', 'alice'), rig.openContext()];
  const name = (id: string) => rig.sql`UPDATE trace.trace SET name = 'measured' WHERE id = ${id}`;
  await name(await run(hidden, { took: 10, ago: 5_000 }));
  const trace = await run(open, { took: 100, ago: 3_000 });
  await name(trace);
  const own = await run(hidden, { took: 100, ago: 2_000 });
  await name(own);
  const score = async (who: typeof alice, id: string) =>
    (await rig.ask(who, 'query($id: ID!) { traceAnalysis(traceId: $id) { score } }', { id })).traceAnalysis.score;
  const alone = await score(bob, trace);
  expect(await score(alice, trace)).toBe(alone);
  expect(alone).toBe(1);
  // By its own context's run of 10 ms as well, and the lower of two is their median.
  expect(await score(alice, own)).toBeCloseTo(0.5 * 0.1 + 0.5);
});
