import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Correlated, correlationsOf } from '../../subgraphs/trace/records/strengths.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const errors = 'userErrors { code path message }';
const began = Date.now() - 60_000;
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

interface Run {
  readonly id: string;
  readonly w3cId: string;
}

/** A trace of one span between two times of the minute, ms. */
async function run(input: object, from: number, to: number, more: object = {}): Promise<Run> {
  const { startTrace } = await rig.ask(
    alice,
    `mutation($input: CreateTraceInput!, $root: TraceSpanInput!) { startTrace(input: $input, rootSpan: $root) { trace { id w3cId } ${errors} } }`,
    {
      input: { name: 'run', ...input },
      root: {
        spanId: '00000000000000a1',
        name: 'root',
        service: 'shop',
        startTimeUnixNano: `${began + from}000000`,
        endTimeUnixNano: `${began + to}000000`,
        ...more,
      },
    },
  );
  expect(startTrace.userErrors).toEqual([]);
  return startTrace.trace;
}

const correlationsOfTrace = async (id: string, who = alice): Promise<readonly Json[]> =>
  (
    await rig.ask(
      who,
      `query($id: ID!) { trace(traceId: $id) { correlations { relatedTraceId relatedTrace { name } type strength evidence causeId recordedBy } } }`,
      { id },
    )
  ).trace.correlations;

async function correlate(id: string, input: object, who = alice, key?: string): Promise<Json> {
  const { correlateTraces } = await rig.ask(
    who,
    `mutation($id: ID!, $input: TraceCorrelationInput!, $key: String) { correlateTraces(traceId: $id, input: $input, idempotencyKey: $key) {
       trace { id version } ${errors} } }`,
    { id, input, key },
  );
  return correlateTraces;
}

const anyTrace = fc.record({
  id: fc.uuid({ version: 4 }),
  correlationId: fc.option(fc.constantFrom('c', 'd')),
  planId: fc.option(fc.constantFrom('p', 'q')),
  contextId: fc.option(fc.constantFrom('x', 'y')),
  startNs: fc.option(fc.nat(1_000).map(String)),
  endNs: fc.option(fc.integer({ min: 1_000, max: 2_000 }).map(String)),
  services: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')),
});

describe('strengths', () => {
  it('lie over 0 to 1, are the same either way, and 1 of a trace with itself', () => {
    fc.assert(
      fc.property(anyTrace, anyTrace, fc.nat(2), fc.nat(2), (one, other, from, to) => {
        const there = correlationsOf(one, other, { from, to });
        for (const { strength } of there) {
          expect(strength).toBeGreaterThan(0);
          expect(strength).toBeLessThanOrEqual(1);
        }
        const back = correlationsOf(other, one, { from: to, to: from });
        const plain = (list: typeof there) => list.map(({ causeId: _cause, ...rest }) => rest);
        expect(plain(back)).toEqual(plain(there));
        for (const { strength } of correlationsOf(one, one, { from: 0, to: 0 })) expect(strength).toBe(1);
      }),
    );
  });

  it('are those of the rules', () => {
    const one: Correlated = {
      id: '1',
      correlationId: 'c',
      planId: 'p',
      contextId: 'x',
      startNs: '0',
      endNs: '100',
      services: ['a', 'b'],
    };
    const other = { ...one, id: '2', planId: null, startNs: '60', endNs: '140', services: ['b', 'c', 'd'] };
    const found = Object.fromEntries(
      correlationsOf(one, other, { from: 0, to: 2 }).map((entry) => [entry.type, entry]),
    );
    expect(found).toMatchObject({
      causation: { strength: 1, causeId: '1', evidence: '2 span links' },
      logical: { strength: 2 / 3, evidence: 'same correlation id and context', causeId: null },
      temporal: { strength: 0.5 },
      spatial: { strength: 0.25, evidence: '1 of 4 services' },
    });
  });
});

describe('correlations', () => {
  it('are found by links, by correlation id, and by time in the same context', async () => {
    const contextId = rig.openContext();
    const first = await run({ contextId, name: 'first' }, 0, 100);
    const second = await run({ contextId, name: 'second', correlationId: 'order' }, 200, 300, {
      service: 'bank',
      links: [{ traceId: first.w3cId, spanId: '00000000000000a1' }],
    });
    const third = await run({ contextId: rig.openContext(), name: 'third', correlationId: 'order' }, 1_000, 1_100, {
      service: 'mail',
    });
    const fourth = await run({ contextId, name: 'fourth' }, 225, 425, { service: 'mail' });
    const found = await correlationsOfTrace(second.id);
    expect(found).toEqual([
      {
        relatedTraceId: first.id,
        relatedTrace: { name: 'first' },
        type: 'CAUSATION',
        strength: 1,
        evidence: '1 span link',
        causeId: first.id,
        recordedBy: null,
      },
      {
        relatedTraceId: fourth.id,
        relatedTrace: { name: 'fourth' },
        type: 'TEMPORAL',
        strength: 0.75,
        evidence: '75.000 of 100.000 ms at the same time',
        causeId: null,
        recordedBy: null,
      },
      {
        relatedTraceId: third.id,
        relatedTrace: { name: 'third' },
        type: 'LOGICAL',
        strength: 0.5,
        evidence: 'same correlation id',
        causeId: null,
        recordedBy: null,
      },
    ]);
    expect((await correlationsOfTrace(fourth.id)).map(({ type, relatedTraceId }) => [type, relatedTraceId])).toEqual([
      ['TEMPORAL', second.id],
    ]);
  });

  it('that are recorded stand with both traces, before what is found; computed where no strength is given', async () => {
    const contextId = rig.openContext();
    const one = await run({ contextId, name: 'one' }, 0, 100);
    const other = await run({ contextId, name: 'other' }, 50, 250);
    const given = await correlate(
      one.id,
      { relatedTraceId: other.id, type: 'CAUSATION', strength: 0.3, note: 'ann said so' },
      alice,
      'k',
    );
    expect(given.userErrors).toEqual([]);
    expect(
      await correlate(
        one.id,
        { relatedTraceId: other.id, type: 'CAUSATION', strength: 0.3, note: 'ann said so' },
        alice,
        'k',
      ),
    ).toEqual(given);
    expect((await correlate(one.id, { relatedTraceId: other.id, type: 'TEMPORAL' })).userErrors).toEqual([]);
    for (const [id, related] of [
      [one.id, other.id],
      [other.id, one.id],
    ] as const)
      expect(await correlationsOfTrace(id)).toMatchObject([
        { type: 'SPATIAL', strength: 1, recordedBy: null },
        {
          relatedTraceId: related,
          type: 'TEMPORAL',
          strength: 0.5,
          evidence: '50.000 of 100.000 ms at the same time',
          recordedBy: 'alice',
        },
        {
          relatedTraceId: related,
          type: 'CAUSATION',
          strength: 0.3,
          evidence: 'ann said so',
          causeId: other.id,
          recordedBy: 'alice',
        },
      ]);
    const events =
      await rig.sql`SELECT stream_id FROM trace.event WHERE type = 'trace.correlated' AND stream_id IN ${rig.sql([one.id, other.id])}`;
    expect(events).toHaveLength(4);
    const none = await correlate(one.id, { relatedTraceId: other.id, type: 'LOGICAL' });
    expect(none.userErrors[0]).toMatchObject({ code: 'VALIDATION_FAILED', path: ['input', 'strength'] });
    expect((await correlate(one.id, { relatedTraceId: one.id, type: 'LOGICAL', strength: 1 })).userErrors[0].code).toBe(
      'VALIDATION_FAILED',
    );
    expect(
      (await correlate(one.id, { relatedTraceId: other.id, type: 'LOGICAL', strength: 2 })).userErrors[0].code,
    ).toBe('VALIDATION_FAILED');
  });

  it('say nothing of traces that the reader does not see, and join nothing to them', async () => {
    const hidden = rig.openContext('one', 'alice');
    const secret = await run({ contextId: hidden, name: 'secret', correlationId: 'shared' }, 0, 100);
    const plain = await run({ contextId: rig.openContext(), name: 'plain', correlationId: 'shared' }, 0, 100, {
      links: [{ traceId: secret.w3cId, spanId: '00000000000000a1' }],
    });
    expect((await correlate(plain.id, { relatedTraceId: secret.id, type: 'LOGICAL', strength: 1 })).userErrors).toEqual(
      [],
    );
    expect((await correlationsOfTrace(plain.id)).length).toBeGreaterThan(0);
    const bob = principal('bob');
    expect(await correlationsOfTrace(plain.id, bob)).toEqual([]);
    const refused = await correlate(plain.id, { relatedTraceId: secret.id, type: 'LOGICAL', strength: 1 }, bob);
    expect(refused.userErrors[0]).toMatchObject({ code: 'NOT_FOUND', path: ['input', 'relatedTraceId'] });
    const foreign = await correlate(
      plain.id,
      { relatedTraceId: secret.id, type: 'LOGICAL', strength: 1 },
      principal('eve', 'two'),
    );
    expect(foreign.userErrors[0]).toMatchObject({ code: 'NOT_FOUND', path: ['traceId'] });
  });
});
