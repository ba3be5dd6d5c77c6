import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendChange } from '#shared/outbox.ts';
import { errorOf } from '../../subgraphs/trace/records/classify.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const errors = 'userErrors { code path message }';
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

describe('a failed span', () => {
  const failed = (attributes: object, statusMessage: string | null = null, exception: object | null = null) =>
    errorOf({
      name: 'call',
      attributes: attributes as never,
      statusMessage,
      events: exception === null ? [] : [{ name: 'exception', time: '1', attributes: exception as never }],
    });

  it.each([
    [{ 'error.type': 'PERMISSION_DENIED' }, null, 'security', false],
    [{ 'error.type': 'UNAVAILABLE' }, null, 'network', true],
    [{ 'error.type': 'DEADLINE_EXCEEDED' }, null, 'timeout', true],
    [{ 'error.type': 'VALIDATION_FAILED' }, null, 'validation', false],
    [{ 'http.response.status_code': 403 }, null, 'security', false],
    [{ 'http.status_code': 504 }, null, 'timeout', true],
    [{ 'http.response.status_code': 422 }, null, 'validation', false],
    [{ 'http.response.status_code': 409 }, null, 'business', false],
    [{ 'http.response.status_code': 429 }, null, 'business', true],
    [{ 'http.response.status_code': 500 }, null, 'system', false],
    [{}, 'connect ECONNREFUSED 10.0.0.1:80', 'network', true],
    [{}, 'request timed out', 'timeout', true],
    [{}, 'out of memory', 'system', false],
    [{ 'http.response.status_code': 200 }, 'access denied for bob', 'security', false],
  ] as const)('with %j and %s is of the type %s', (attributes, message, type, recoverable) => {
    expect(failed(attributes, message)).toMatchObject({ type, recoverable });
  });

  it('tells its exception', () => {
    expect(
      failed({}, null, {
        'exception.type': 'SocketTimeoutException',
        'exception.message': 'slow',
        'exception.stacktrace': 'at x',
      }),
    ).toEqual({
      code: 'SocketTimeoutException',
      message: 'slow',
      type: 'timeout',
      stack: 'at x',
      recoverable: true,
      recoveryActions: ['retry', 'fallback'],
    });
  });
});

const anomalies = async (filter: object, who = alice): Promise<readonly Json[]> =>
  (
    await rig.ask(
      who,
      'query($filter: TraceAnomalyFilter) { anomalies(filter: $filter) { traceId metric value type severity confidence score rootCause recommendations } }',
      { filter },
    )
  ).anomalies;

async function open(name: string, contextId: string, spans: readonly object[]): Promise<string> {
  const { createTrace } = await rig.ask(
    alice,
    `mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
    { input: { contextId, name } },
  );
  const { id } = createTrace.trace;
  if (spans.length > 0)
    await rig.ask(
      alice,
      `mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted ${errors} } }`,
      { id, spans },
    );
  return id;
}

const failure = (at: number, attributes: object) => ({
  spanId: at.toString(16).padStart(16, '0'),
  name: 'call',
  service: 'shop',
  status: 'ERROR',
  startTimeUnixNano: `${Date.now() - 50}000000`,
  endTimeUnixNano: `${Date.now() - 40}000000`,
  attributes,
});

describe('security anomalies', () => {
  it('are counted from failed spans and recorded errors, each failure once', async () => {
    const contextId = rig.openContext();
    const id = await open('attacked', contextId, [
      failure(1, { 'http.response.status_code': 401 }),
      failure(2, { 'http.response.status_code': 403 }),
      failure(3, { 'http.response.status_code': 500 }),
    ]);
    const plain = await open('plain', contextId, [failure(1, { 'http.response.status_code': 500 })]);
    expect(await anomalies({ type: ['SECURITY_ANOMALY'] })).toEqual([
      {
        traceId: id,
        metric: 'security.failures',
        value: 2,
        type: 'SECURITY_ANOMALY',
        severity: 'MEDIUM',
        confidence: 0.75,
        score: null,
        rootCause: expect.stringContaining('2 failures of the security type: '),
        recommendations: expect.arrayContaining([expect.any(String)]),
      },
    ]);
    const tell = (traceId: string, input: object) =>
      rig.ask(
        alice,
        `mutation($id: ID!, $input: TraceErrorInput!) { recordTraceError(traceId: $id, input: $input) { ${errors} } }`,
        { id: traceId, input },
      );
    await tell(id, { code: 'STOLEN_TOKEN', message: 'used twice', type: 'SECURITY', spanId: '0000000000000001' });
    await tell(plain, { code: 'SLOW', message: 'slow', type: 'TIMEOUT' });
    const [after, ...more] = await anomalies({ metric: 'security.failures' });
    expect(more).toEqual([]);
    expect(after).toMatchObject({ traceId: id, value: 2, confidence: 1 });
    expect(after.rootCause).toContain('STOLEN_TOKEN');
    expect(await anomalies({ traceId: plain })).toEqual([]);
    expect(await anomalies({ type: ['ERROR_SPIKE'] })).toEqual([]);
    expect(await anomalies({}, principal('eve', 'two'))).toEqual([]);
    const ago = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
    expect(await anomalies({ from: ago(3), to: ago(2) })).toEqual([]);
  });

  it('of private contexts are for those who see them', async () => {
    const id = await open('hidden', rig.openContext('one', 'alice'), [
      failure(1, { 'http.response.status_code': 401 }),
    ]);
    const seen = async (who: ReturnType<typeof principal>) => (await anomalies({ traceId: id }, who)).length;
    expect([await seen(alice), await seen(principal('bob'))]).toEqual([1, 0]);
  });

  it('tell that somebody is denied again and again, not who', async () => {
    const events = await rig.sql.begin((tx) =>
      appendChange(tx, 'role', [
        {
          tenantId: 'denied',
          actor: 'mallory',
          events: [
            {
              streamId: '0c5bd2a4-6c5e-4b8b-9a56-3f3a4b1c2d3e',
              type: 'permission.denied.repeatedly',
              data: { subjectId: 'mallory', denials: 12, last: { action: 'read', resourceType: 'plan' } },
              tags: [],
            },
          ],
        },
      ]),
    );
    await rig.publisher.published(events);
    const reader = principal('rita', 'denied');
    await expect.poll(() => anomalies({}, reader), { timeout: 20_000 }).toHaveLength(1);
    const [found] = await anomalies({}, reader);
    expect(found).toMatchObject({
      metric: 'permission.denied',
      value: 12,
      severity: 'CRITICAL',
      confidence: 1,
      type: 'SECURITY_ANOMALY',
    });
    const { trace } = await rig.ask(
      reader,
      'query($id: ID!) { trace(traceId: $id) { name type contextId events { nodes { type actor data } } } }',
      {
        id: found.traceId,
      },
    );
    expect(trace).toEqual({
      name: 'security',
      type: 'AUDIT',
      contextId: null,
      events: { nodes: [{ type: 'permission.denied.repeatedly', actor: 'system:trace', data: { denials: 12 } }] },
    });
  });
});
