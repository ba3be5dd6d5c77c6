import { expect } from 'vitest';
import { type Json, type openTraceRig, principal } from './rig.ts';

export type Rig = Awaited<ReturnType<typeof openTraceRig>>;

let tenants = 0;
/** Somebody of a tenant nobody else is of. */
export const somebody = () => principal('alice', `tenant ${++tenants}`);
export type Who = ReturnType<typeof somebody>;

export const spanOf = (spanId: string, ms: number, more: object = {}) => ({
  spanId,
  startTimeUnixNano: `${Date.now() - 10_000}000000`,
  endTimeUnixNano: `${Date.now() - 10_000 + ms}000000`,
  ...more,
});
export const hex = () => crypto.randomUUID().replaceAll('-', '');

/** Calls that tests of alerts make, on the rig that is open then. */
export function alertCalls(of: () => Rig) {
  async function newTrace(who: Who, at: Rig = of()): Promise<string> {
    const { createTrace } = await at.ask(
      who,
      'mutation($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } } }',
      { id: at.openContext(who.tenantId) },
    );
    return createTrace.trace.id;
  }
  const record = async (who: Who, id: string, metrics: readonly object[], at: Rig = of()) => {
    const { recordMetrics } = await at.ask(
      who,
      'mutation($id: ID!, $metrics: [TraceMetricInput!]!) { recordMetrics(traceId: $id, metrics: $metrics) { userErrors { code message } } }',
      { id, metrics },
    );
    expect(recordMetrics.userErrors).toEqual([]);
  };
  const ruleFields =
    'id version name figure metric comparison threshold service operation severity cooldownSeconds enabled lastRaisedAt';
  const configure = async (who: Who, input: object, more: object = {}, at: Rig = of()): Promise<Json> =>
    (
      await at.ask(
        who,
        `mutation($input: ConfigureAlertInput!, $version: Int, $key: String) {
           configureAlert(input: $input, expectedVersion: $version, idempotencyKey: $key) { rule { ${ruleFields} } userErrors { code path } } }`,
        { input, ...more },
      )
    ).configureAlert;
  const addRule = async (who: Who, input: object, at: Rig = of()): Promise<Json> => {
    const { rule, userErrors } = await configure(who, input, {}, at);
    expect(userErrors).toEqual([]);
    return rule;
  };
  const alertFields = 'id ruleId ruleName traceId severity state metric unit value threshold score count';
  const alertsOf = async (who: Who, filter: object = {}, at: Rig = of()): Promise<Json[]> =>
    (
      await at.ask(
        who,
        `query($filter: TraceAlertFilter) { traceAlerts(filter: $filter) { nodes { ${alertFields} } } }`,
        {
          filter,
        },
      )
    ).traceAlerts.nodes;
  const until = (who: Who, matches: (alerts: Json[]) => boolean, at: Rig = of()) =>
    expect.poll(async () => matches(await alertsOf(who, {}, at)), { timeout: 10_000, interval: 50 }).toBe(true);
  /** Waits until everything reported so far has been held against the rules. */
  async function settled(at: Rig = of()): Promise<void> {
    const [head] = await at.sql`SELECT coalesce(max(position), 0)::bigint AS position FROM trace.event`;
    await expect
      .poll(
        async () =>
          (
            await at.sql`SELECT position >= ${head!['position']} AS done FROM trace.consumer_offset WHERE consumer = 'trace.alerts'`
          )[0]!['done'],
        { timeout: 10_000, interval: 50 },
      )
      .toBe(true);
  }
  const report = (who: Who, traceId: string, spans: readonly object[]) =>
    of().ask(who, 'mutation($request: JSON!) { ingestOtlp(request: $request) { accepted } }', {
      request: {
        resourceSpans: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
            scopeSpans: [{ spans: spans.map((span) => ({ traceId, name: 'buy', ...span })) }],
          },
        ],
      },
    });

  return { newTrace, record, ruleFields, configure, addRule, alertFields, alertsOf, until, settled, report };
}
