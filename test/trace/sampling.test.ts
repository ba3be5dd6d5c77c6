import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { isSampled } from '../../subgraphs/trace/sampling.ts';
import { isChosen } from '../../subgraphs/trace/store/sampling.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

type Rig = Awaited<ReturnType<typeof openTraceRig>>;
let rig: Rig;
const [alice, bob] = [principal('alice'), principal('bob')];
afterEach(() => rig[Symbol.asyncDispose]());

const env = { TRACE_SAMPLING_RATE: '0.5', TRACE_SLOW_MS: '1000', TRACE_HISTORY: 'false' };

/** A W3C id that a rate of a half keeps, or not. */
const idOf = (kept: boolean) => `${newId().replaceAll('-', '').slice(0, 19)}${kept ? '0' : 'f'}000000000001`;

interface Given {
  readonly spanId: string;
  readonly parent?: string;
  readonly failed?: boolean;
  readonly ms?: number;
}

const spanId = (n: number) => n.toString(16).padStart(16, '0');

async function report(traceId: string, spans: readonly Given[], who = alice): Promise<Json> {
  const message = spans.map(({ spanId: id, parent, failed = false, ms = 5 }) => ({
    ...{ traceId, spanId: id, name: 'work', ...(parent === undefined ? {} : { parentSpanId: parent }) },
    startTimeUnixNano: '1700000000000000000',
    endTimeUnixNano: `${1_700_000_000_000 + ms}000000`,
    status: { code: failed ? 2 : 1 },
  }));
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] };
  const { ingestOtlp } = await rig.ask(
    who,
    'mutation($r: JSON!) { ingestOtlp(request: $r) { accepted rejected { reason } userErrors { code } } }',
    { r: { resourceSpans: [{ resource, scopeSpans: [{ spans: message }] }] } },
  );
  expect(ingestOtlp.userErrors).toEqual([]);
  return [ingestOtlp.accepted, ingestOtlp.rejected.map(({ reason }: Json) => reason.split(':')[0])];
}

const find = async (traceId: string): Promise<Json> =>
  (
    await rig.ask(
      alice,
      'query($id: ID!) { distributedTrace(externalTraceId: $id) { traces { spanCount errorCount samplingRate undecided lostSpans } missingParents } }',
      { id: traceId },
    )
  ).distributedTrace;
const facts = async (traceId: string) => (await find(traceId))?.traces[0] ?? null;

/** Moves what is known of the undecided into the past, as far as its end is a matter of minutes. */
const age = (minutes: number) =>
  rig.sql`UPDATE trace.trace SET updated_at = updated_at - ${minutes} * interval '1 minute',
    finished_at = finished_at - ${minutes} * interval '1 minute' WHERE undecided`;

const statistics = async (who = alice, filter: object = {}) =>
  (
    await rig.ask(
      who,
      'query($f: TraceFilter) { traceStatistics(filter: $f) { count estimatedCount sampledOut { traces spans lateSpans } } }',
      { f: filter },
    )
  ).traceStatistics;

const [root, child, other] = [spanId(1), spanId(2), spanId(3)];

describe('with a rate below one', () => {
  test('all is stored first; what failed, was slow or is among those of the rate is kept whole, the rest goes whole', async () => {
    rig = await openTraceRig(env);
    const [plain, chosen, failed, slow] = [idOf(false), idOf(true), idOf(false), idOf(false)];
    // Children come before their root, each in a report of its own; what fails, fails last.
    for (const id of [plain, chosen, failed, slow]) {
      expect(await report(id, [{ spanId: child, parent: root }])).toEqual([1, []]);
      await report(id, [{ spanId: other, parent: child }]);
    }
    await report(plain, [{ spanId: root }]);
    await report(chosen, [{ spanId: root }]);
    await report(failed, [{ spanId: root, failed: true }]);
    await report(slow, [{ spanId: root, ms: 2_000 }]);
    for (const id of [plain, chosen, failed, slow])
      expect(await facts(id)).toMatchObject({ spanCount: 3, undecided: true, samplingRate: 1 });
    // Spans may still come: nothing is decided yet.
    await rig.sweep();
    expect(await facts(plain)).toMatchObject({ undecided: true });
    await age(2);
    await rig.sweep();
    expect(await facts(plain)).toBeNull();
    expect(await facts(chosen)).toMatchObject({ spanCount: 3, undecided: false, samplingRate: 0.5 });
    expect(await facts(failed)).toMatchObject({ spanCount: 3, errorCount: 1, undecided: false, samplingRate: 1 });
    expect(await facts(slow)).toMatchObject({ spanCount: 3, undecided: false, samplingRate: 1 });
    expect((await find(failed)).missingParents).toEqual([]);
    const left = await rig.sql`SELECT count(*)::int AS n FROM trace.span`;
    expect(left[0]!['n']).toBe(9);
    // Two failed or slow ones, and one that stands for two: as many as there were.
    expect(await statistics()).toEqual({
      ...{ count: 3, estimatedCount: 4 },
      sampledOut: { traces: 1, spans: 3, lateSpans: 0 },
    });
    const told = await rig.sql`SELECT data, tags FROM trace.event WHERE type = 'trace.sampled'`;
    expect(told).toHaveLength(1);
    expect([told[0]!['data'].kept.length, told[0]!['data'].out.length]).toEqual([3, 1]);
    expect(told[0]!['tags']).toContain(`Trace:${told[0]!['data'].out[0]}`);
  });

  test('what has no end is decided about where nothing comes any more, and early where too much waits', async () => {
    rig = await openTraceRig({ ...env, TRACE_DECISION_SECONDS: '300', TRACE_MAX_UNDECIDED: '2' });
    const open = idOf(false);
    await report(open, [{ spanId: child, parent: root }]);
    await age(4);
    await rig.sweep();
    expect(await facts(open)).toMatchObject({ undecided: true });
    await age(4);
    await rig.sweep();
    expect(await facts(open)).toBeNull();
    const waiting = Array.from({ length: 5 }, () => idOf(false));
    for (const [n, id] of waiting.entries()) await report(id, [{ spanId: child, parent: root, failed: n === 1 }]);
    await rig.sweep();
    expect((await Promise.all(waiting.map(facts))).map((one) => one?.undecided ?? null)).toEqual([
      ...[null, false, null],
      ...[true, true],
    ]);
  });

  test('a failure that comes late brings back what it can and says what is lost; anything else is refused and counted', async () => {
    rig = await openTraceRig(env);
    const id = idOf(false);
    await report(id, [{ spanId: child, parent: root }, { spanId: root }]);
    await age(2);
    await rig.sweep();
    expect(await report(id, [{ spanId: other, parent: child }])).toEqual([0, ['SAMPLED_OUT']]);
    expect((await statistics()).sampledOut).toEqual({ traces: 1, spans: 2, lateSpans: 1 });
    const late = [
      { spanId: spanId(4), parent: child, failed: true },
      { spanId: spanId(5), parent: spanId(4) },
    ];
    expect(await report(id, late)).toEqual([2, []]);
    expect(await facts(id)).toEqual({ spanCount: 2, errorCount: 1, samplingRate: 1, undecided: false, lostSpans: 2 });
    expect((await find(id)).missingParents).toEqual([child]);
    expect(await statistics()).toMatchObject({
      count: 1,
      estimatedCount: 1,
      sampledOut: { traces: 0, spans: 0, lateSpans: 1 },
    });
    // It stands now, and takes what else comes.
    expect(await report(id, [{ spanId: other, parent: child }])).toEqual([1, []]);
    await age(100);
    await rig.sweep();
    expect(await facts(id)).toMatchObject({ spanCount: 3 });
  });

  test('what is opened by name goes once it has ended, unless more than spans was told of it', async () => {
    rig = await openTraceRig({ ...env, TRACE_SAMPLING_RATE: '0', TRACE_MAX_UNDECIDED: '1' });
    const contextId = rig.openContext('one', 'alice');
    const open = async (more: object = {}): Promise<string> => {
      const { createTrace } = await rig.ask(
        alice,
        'mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id undecided } userErrors { code } } }',
        { input: { contextId, name: 'work', ...more } },
      );
      expect(createTrace.trace.undecided).toBe(!('samplingRate' in more));
      return createTrace.trace.id;
    };
    const end = async (id: string, outcome = 'COMPLETED') => {
      const span = { spanId: root, name: 'w', service: 's', startTimeUnixNano: '1700000000000000000' };
      await rig.ask(
        alice,
        `mutation($id: ID!, $span: TraceSpanInput!, $o: TraceOutcome!) { addSpan(traceId: $id, span: $span) { accepted }
           endTrace(traceId: $id, outcome: $o) { userErrors { code } } }`,
        { id, span, o: outcome },
      );
    };
    const [plain, failed, told, given, audit, decided] = [
      ...[await open(), await open(), await open(), await open({ samplingRate: 0.25 }), await open({ type: 'AUDIT' })],
      await open(),
    ] as const;
    await rig.ask(
      alice,
      'mutation($id: ID!) { recordMetrics(traceId: $id, metrics: [{ name: "m", value: 1 }]) { userErrors { code } } }',
      { id: told },
    );
    await rig.ask(
      alice,
      `mutation($id: ID!) { recordTraceEvents(traceId: $id, events: [{ phase: START, name: "n", source: { component: "c" } }]) { userErrors { code } } }`,
      { id: decided },
    );
    await end(failed, 'FAILED');
    for (const id of [plain, told, given, audit, decided]) await end(id);
    await age(2);
    await rig.sweep();
    const stands = async (id: string) =>
      (await rig.ask(alice, 'query($id: ID!) { trace(traceId: $id) { samplingRate } }', { id })).trace?.samplingRate ??
      null;
    expect(await Promise.all([plain, failed, told, given, audit, decided].map(stands))).toEqual([
      null,
      ...[1, 1, 0.25],
      ...[1, 1],
    ]);
    // Who may not see the context learns nothing of what lay there.
    expect((await statistics(alice, { contextId })).sampledOut).toEqual({ traces: 1, spans: 1, lateSpans: 0 });
    expect((await statistics(bob)).sampledOut).toEqual({ traces: 0, spans: 0, lateSpans: 0 });
    // What is still being worked with stays, also where too many wait.
    const working = [await open(), await open(), await open()];
    await rig.sweep();
    expect(await Promise.all(working.map(stands))).toEqual([1, 1, 1]);
  });

  test('a decision whose process is ended on the way has not been made; made again it counts once, by whoever makes it', async () => {
    rig = await openTraceRig(env);
    const ids = Array.from({ length: 6 }, (_, n) => idOf(n % 2 === 0));
    for (const id of ids) await report(id, [{ spanId: child, parent: root }, { spanId: root }]);
    await age(2);
    await using second = await openTraceRig(env, { databaseUrl: rig.databaseUrl });
    // Somebody holds a span: the decision has been taken and waits to delete.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld = () => {};
    const holds = new Promise<void>((resolve) => {
      isHeld = resolve;
    });
    const holding = rig.sql.begin(async (tx) => {
      await tx`SELECT 1 FROM trace.span s JOIN trace.trace t ON t.id = s.trace_id WHERE t.w3c_id = ${ids[1]!} FOR UPDATE OF s`;
      isHeld();
      await held;
    });
    await holds;
    const sweeping = second.sweep().then(
      () => 'swept',
      () => 'ended',
    );
    const waiting = () =>
      rig.sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH due AS%'`;
    await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(1);
    await rig.sql`SELECT pg_terminate_backend(${(await waiting())[0]!['pid']})`;
    expect(await sweeping).toBe('ended');
    release();
    await holding;
    for (const id of ids) expect(await facts(id)).toMatchObject({ spanCount: 2, undecided: true });
    expect((await statistics()).sampledOut).toEqual({ traces: 0, spans: 0, lateSpans: 0 });
    await Promise.all([rig.sweep(), second.sweep(), rig.sweep()]);
    expect((await Promise.all(ids.map(facts))).map((one) => one !== null)).toEqual(ids.map((_, n) => n % 2 === 0));
    expect((await statistics()).sampledOut).toEqual({ traces: 3, spans: 6, lateSpans: 0 });
  });

  test('a failure that comes while its trace is let go is not lost', async () => {
    rig = await openTraceRig({ ...env, TRACE_SAMPLING_RATE: '0' });
    const id = idOf(false);
    await report(id, [{ spanId: child, parent: root }, { spanId: root }]);
    await age(2);
    let reported: Promise<Json> | null = null;
    // The trace goes in a transaction that is open when the report comes, which finds it standing and waits for it.
    await rig.sql.begin(async (tx) => {
      await tx`DELETE FROM trace.span WHERE trace_id IN (SELECT id FROM trace.trace WHERE w3c_id = ${id})`;
      await tx`WITH gone AS (DELETE FROM trace.trace WHERE w3c_id = ${id} RETURNING *)
        INSERT INTO trace.sampled_out (tenant_id, trace_id, decided_at, hour, context_id, span_count)
        SELECT tenant_id, id, now(), date_trunc('hour', created_at, 'UTC'), '00000000-0000-0000-0000-000000000000', span_count FROM gone`;
      reported = report(id, [{ spanId: other, parent: child, failed: true }]);
      await expect
        .poll(
          async () =>
            (
              await rig.sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
            ).length,
          { timeout: 20_000 },
        )
        .toBe(1);
    });
    expect(await reported).toEqual([1, []]);
    expect(await facts(id)).toMatchObject({ spanCount: 1, errorCount: 1, lostSpans: 2 });
  });

  test('no trace with a failure loses a span that came before the decision, and no half of a trace ever stands', async () => {
    rig = await openTraceRig({ ...env, TRACE_DECISION_SECONDS: '60', TRACE_MAX_UNDECIDED: '4' });
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ trace: fc.nat(5), failed: fc.boolean(), isRoot: fc.boolean() }) },
      { weight: 2, arbitrary: fc.constant('sweep' as const) },
      { weight: 1, arbitrary: fc.constant('age' as const) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
        async (steps, chosen) => {
          const ids = chosen.map(idOf);
          /** Spans taken since the trace was last gone, and whether one of them failed. */
          const taken = ids.map(() => ({ spans: 0, failed: false, isRooted: false }));
          let next = 1;
          for (const one of steps) {
            if (one === 'age') await age(2);
            else if (one === 'sweep') await rig.sweep();
            else {
              const { trace, failed, isRoot } = one;
              const state = taken[trace]!;
              const given = { spanId: spanId(next), failed, ...(isRoot && !state.isRooted ? {} : { parent: root }) };
              next += 1;
              const before = await facts(ids[trace]!);
              const [accepted] = await report(ids[trace]!, [given]);
              if (accepted === 0) continue;
              if (before === null) taken[trace] = { spans: 0, failed: false, isRooted: false };
              const after = taken[trace]!;
              after.spans += 1;
              after.failed ||= failed;
              after.isRooted ||= !('parent' in given);
            }
            for (const [n, id] of ids.entries()) {
              const stands = await facts(id);
              if (stands === null) expect(taken[n]!.failed).toBe(false);
              else expect(stands.spanCount).toBe(taken[n]!.spans);
            }
          }
        },
      ),
      { numRuns: 15 },
    );
  }, 120_000);
});

test('with a rate of one nothing waits for a decision', async () => {
  rig = await openTraceRig({ TRACE_HISTORY: 'false' });
  const id = idOf(false);
  await report(id, [{ spanId: root }]);
  expect(await facts(id)).toMatchObject({ undecided: false, samplingRate: 1 });
  await age(100);
  await rig.sweep();
  expect(await facts(id)).toMatchObject({ spanCount: 1 });
  expect(await statistics()).toEqual({
    count: 1,
    estimatedCount: 1,
    sampledOut: { traces: 0, spans: 0, lateSpans: 0 },
  });
});

test('the database chooses the same traces as whoever asks by the id', async () => {
  rig = await openTraceRig({ TRACE_HISTORY: 'false' });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[0-9a-f]{32}$/), { minLength: 1, maxLength: 50 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (ids, rate) => {
        const rows = await rig.sql.unsafe(
          `SELECT ${isChosen('id', '$1')} AS chosen
           FROM unnest($2::text[]) WITH ORDINALITY AS i(id, ord) ORDER BY ord`,
          [rate, ids],
        );
        expect(rows.map((row) => row['chosen'])).toEqual(ids.map((id) => isSampled(id, rate)));
      },
    ),
    { numRuns: 50 },
  );
});
