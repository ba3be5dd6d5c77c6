import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { alertCalls, hex, type Rig, somebody, spanOf, type Who } from './alertRig.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Rig;
const stranger = principal('mallory', 'far');
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());
const { newTrace, record, configure, addRule, alertsOf, until, settled, report } = alertCalls(() => rig);

describe('alerts', () => {
  test('are raised over a threshold, counted while they last, and kept apart by their rule’s cooldown', async () => {
    const who = somebody();
    const rule = await addRule(who, { name: 'queue too long', metric: 'queue', threshold: 100, severity: 'HIGH' });
    const eager = await addRule(who, { name: 'queue at all', metric: 'queue', threshold: 60, cooldownSeconds: 0 });
    const [one, two] = [await newTrace(who), await newTrace(who)];
    await record(who, one, [
      { name: 'queue', value: 50 },
      { name: 'other', value: 500 },
    ]);
    await record(who, one, [{ name: 'queue', value: 150, unit: 'jobs' }]);
    const alert = {
      ruleId: rule.id,
      ruleName: 'queue too long',
      traceId: one,
      severity: 'HIGH',
      state: 'RAISED',
      metric: 'queue',
      unit: 'jobs',
      value: 150,
      threshold: 100,
      score: null,
      count: 1,
    };
    await until(who, (alerts) => alerts.length === 2);
    expect(await alertsOf(who, { ruleId: rule.id })).toEqual([{ id: expect.any(String), ...alert }]);
    expect(await alertsOf(who, { ruleId: eager.id })).toMatchObject([{ severity: 'MEDIUM', threshold: 60 }]);
    // Again of the same trace it is counted; of another one the first rule stays quiet.
    await record(who, one, [{ name: 'queue', value: 170, unit: 'jobs' }]);
    await record(who, two, [{ name: 'queue', value: 180, unit: 'jobs' }]);
    await settled();
    expect(await alertsOf(who, { ruleId: rule.id })).toMatchObject([{ traceId: one, value: 170, count: 2 }]);
    expect(await alertsOf(who, { ruleId: eager.id })).toMatchObject([
      { traceId: two, value: 180, count: 1 },
      { traceId: one, value: 170, count: 2 },
    ]);
    expect(await alertsOf(who, { traceId: two })).toHaveLength(1);
    expect(await alertsOf(who, { severity: ['LOW'] })).toEqual([]);
    const { traceAlertRules } = await rig.ask(who, '{ traceAlertRules { name lastRaisedAt } }');
    expect(traceAlertRules.map(({ name }: Json) => name)).toEqual(['queue at all', 'queue too long']);
    expect(traceAlertRules.every(({ lastRaisedAt }: Json) => lastRaisedAt !== null)).toBe(true);
    // The cooldown is over.
    await rig.sql`UPDATE trace.alert_rule SET last_raised_at = last_raised_at - interval '6 minutes' WHERE id = ${rule.id}`;
    await record(who, two, [{ name: 'queue', value: 190, unit: 'jobs' }]);
    await settled();
    expect(await alertsOf(who, { ruleId: rule.id })).toMatchObject([
      { traceId: two, value: 190, count: 1 },
      { traceId: one },
    ]);
    expect(await alertsOf(stranger)).toEqual([]);
  });

  test('are of the service and operation that the rule names, and below a threshold where it says so', async () => {
    const who = somebody();
    const rule = await addRule(who, {
      name: 'slow',
      metric: 'rate',
      comparison: 'BELOW',
      threshold: 10,
      service: 'shop',
      operation: 'buy',
    });
    const id = await newTrace(who);
    const of = (service: string, operation: string) => ({ dimensions: { service, operation } });
    await record(who, id, [
      { name: 'rate', value: 5 },
      { name: 'rate', value: 4, ...of('shop', 'sell') },
      { name: 'rate', value: 3, ...of('store', 'buy') },
      { name: 'rate', value: 10, ...of('shop', 'buy') },
      { name: 'rate', value: 2, ...of('shop', 'buy') },
      { name: 'rate', value: 20, ...of('shop', 'buy') },
    ]);
    await until(who, (alerts) => alerts.length > 0);
    expect(await alertsOf(who)).toMatchObject([{ ruleId: rule.id, value: 2, count: 1 }]);
  });

  test('are raised by the robust z-score against the hours before', async () => {
    const who = somebody();
    await addRule(who, { name: 'unusual', metric: 'reply', comparison: 'DEVIATES' });
    await addRule(who, { name: 'far out', metric: 'reply', comparison: 'DEVIATES', threshold: 1_000 });
    const [before, id] = [await newTrace(who), await newTrace(who)];
    const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    // Of nothing before, nothing deviates.
    await record(
      who,
      before,
      Array.from({ length: 40 }, (_none, n) => ({ name: 'reply', value: 100 + (n % 5), unit: 'ms', at: ago(120 + n) })),
    );
    await settled();
    expect(await alertsOf(who)).toEqual([]);
    await record(who, id, [
      { name: 'reply', value: 103, unit: 'ms' },
      { name: 'reply', value: 90, unit: 'ms' },
      // In another unit there is nothing to compare it with.
      { name: 'reply', value: 900, unit: 's' },
    ]);
    await until(who, (alerts) => alerts.length > 0);
    // Median 102, MAD 1: 0.6745 * (90 - 102) / 1.
    const [alert, ...others] = await alertsOf(who);
    expect(others).toEqual([]);
    expect(alert).toMatchObject({ ruleName: 'unusual', traceId: id, value: 90, threshold: 3.5, count: 1 });
    expect(alert.score).toBeCloseTo(-8.094, 3);
  });

  test('follow the durations and failures of traces that end, once', async () => {
    const who = somebody();
    const slow = await addRule(who, { name: 'slow', figure: 'DURATION', threshold: 1_000, cooldownSeconds: 0 });
    const failed = await addRule(who, { name: 'failed', figure: 'ERRORS', threshold: 1, cooldownSeconds: 0 });
    const inShop = await addRule(who, {
      name: 'slow selling',
      figure: 'DURATION',
      threshold: 1_500,
      service: 'shop',
      operation: 'sell',
      cooldownSeconds: 0,
    });
    const bad = { status: { code: 2 } };
    const child = { parentSpanId: '00000000000000a1' };
    const [quick, long] = [hex(), hex()];
    await report(who, quick, [spanOf('00000000000000a1', 900)]);
    await report(who, long, [spanOf('00000000000000b1', 1_600, { ...child, name: 'sell', ...bad })]);
    await settled();
    // It runs still.
    expect(await alertsOf(who)).toEqual([]);
    await report(who, long, [spanOf('00000000000000b2', 10, { ...child, ...bad }), spanOf('00000000000000a1', 2_000)]);
    await until(who, (alerts) => alerts.length === 3);
    const byRule = Object.fromEntries((await alertsOf(who)).map((alert) => [alert.ruleId, alert]));
    expect(byRule[slow.id]).toMatchObject({ metric: 'trace.duration', unit: 'ms' });
    expect(byRule[slow.id].value).toBeGreaterThanOrEqual(2_000);
    expect(byRule[failed.id]).toMatchObject({ metric: 'trace.errors', unit: null, value: 2 });
    expect(byRule[inShop.id]).toMatchObject({ metric: 'trace.duration', value: 1_600 });
    // What comes late does not end it again.
    await report(who, long, [spanOf('00000000000000b3', 5, { ...child, ...bad })]);
    await settled();
    expect((await alertsOf(who)).map(({ count }) => count)).toEqual([1, 1, 1]);
    // One that somebody ends.
    const id = await newTrace(who);
    await rig.ask(
      who,
      'mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted } }',
      { id, spans: [{ name: 'work', service: 'shop', ...spanOf('00000000000000a1', 3_000) }] },
    );
    await rig.ask(who, 'mutation($id: ID!) { endTrace(traceId: $id) { trace { id } } }', { id });
    await until(who, (alerts) => alerts.length === 4);
    expect(await alertsOf(who, { traceId: id })).toMatchObject([{ ruleId: slow.id, value: 3_000, count: 1 }]);
  });

  test('compare durations with traces of the same name', async () => {
    const who = somebody();
    for (let n = 0; n < 12; n += 1) await report(who, hex(), [spanOf('00000000000000a1', 100 + (n % 4))]);
    await addRule(who, { name: 'unusual', figure: 'DURATION', comparison: 'DEVIATES' });
    await report(who, hex(), [spanOf('00000000000000a1', 5_000, { name: 'rest' })]);
    await report(who, hex(), [spanOf('00000000000000a1', 103)]);
    await report(who, hex(), [spanOf('00000000000000a1', 500)]);
    await until(who, (alerts) => alerts.length > 0);
    await settled();
    expect(await alertsOf(who)).toMatchObject([{ metric: 'trace.duration', value: 500, count: 1 }]);
  });

  test('hold for what comes after their rule: not before, not while it is off, not once it is gone', async () => {
    const who = somebody();
    const id = await newTrace(who);
    await record(who, id, [{ name: 'queue', value: 10 }]);
    const input = { name: 'queue', metric: 'queue', threshold: 1 };
    const rule = await addRule(who, { ...input, enabled: false });
    await record(who, id, [{ name: 'queue', value: 20 }]);
    await settled();
    const on = await configure(who, { ...input, ruleId: rule.id }, { version: rule.version });
    expect(on.rule).toMatchObject({ id: rule.id, version: 2, enabled: true });
    await settled();
    expect(await alertsOf(who)).toEqual([]);
    await record(who, id, [{ name: 'queue', value: 30 }]);
    await until(who, (alerts) => alerts.length === 1);
    const drop = async (as: Who, version: number) =>
      (
        await rig.ask(
          as,
          'mutation($id: ID!, $version: Int) { deleteTraceAlertRule(ruleId: $id, expectedVersion: $version, idempotencyKey: "drop") { deletedId userErrors { code } } }',
          { id: rule.id, version },
        )
      ).deleteTraceAlertRule;
    expect((await drop(stranger, 2)).userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    expect((await drop(who, 1)).userErrors).toEqual([{ code: 'VERSION_CONFLICT' }]);
    expect(await drop(who, 2)).toEqual({ deletedId: rule.id, userErrors: [] });
    // The repeat is told the same.
    expect(await drop(who, 2)).toEqual({ deletedId: rule.id, userErrors: [] });
    await record(who, id, [{ name: 'queue', value: 40 }]);
    await settled();
    expect(await alertsOf(who)).toMatchObject([{ value: 30, count: 1, state: 'RAISED' }]);
  });

  test('are acknowledged once, resolved when quiet, and raised anew after that', async () => {
    const who = somebody();
    await addRule(who, { name: 'queue', metric: 'queue', threshold: 1, cooldownSeconds: 0 });
    const id = await newTrace(who);
    await record(who, id, [{ name: 'queue', value: 10 }]);
    await until(who, (alerts) => alerts.length === 1);
    const [alert] = await alertsOf(who);
    const acknowledge = async (as: Who, alertId: string) =>
      (
        await rig.ask(
          as,
          'mutation($id: ID!) { acknowledgeTraceAlert(alertId: $id) { alert { state acknowledgedBy acknowledgedAt } userErrors { code path } } }',
          { id: alertId },
        )
      ).acknowledgeTraceAlert;
    expect((await acknowledge(stranger, alert.id)).userErrors).toEqual([{ code: 'NOT_FOUND', path: ['alertId'] }]);
    const taken = await acknowledge(who, alert.id);
    expect(taken.alert).toMatchObject({ state: 'ACKNOWLEDGED', acknowledgedBy: 'alice' });
    const other = principal('bob', who.tenantId);
    expect((await acknowledge(other, alert.id)).alert).toEqual(taken.alert);
    expect(await alertsOf(who, { state: ['RAISED'] })).toEqual([]);
    expect(await alertsOf(who, { state: ['ACKNOWLEDGED'] })).toHaveLength(1);
    // Seen again it stays in the hands it is in.
    await record(who, id, [{ name: 'queue', value: 11 }]);
    await settled();
    expect(await alertsOf(who)).toMatchObject([{ count: 2, state: 'ACKNOWLEDGED' }]);
    await rig.sweep();
    expect(await alertsOf(who)).toMatchObject([{ state: 'ACKNOWLEDGED' }]);
    await rig.sql`UPDATE trace.alert SET last_seen_at = last_seen_at - interval '301 seconds' WHERE id = ${alert.id}`;
    await rig.sweep();
    await rig.sweep();
    expect(await alertsOf(who)).toMatchObject([{ id: alert.id, state: 'RESOLVED' }]);
    expect((await acknowledge(who, alert.id)).alert.state).toBe('RESOLVED');
    await record(who, id, [{ name: 'queue', value: 12 }]);
    await until(who, (alerts) => alerts.length === 2);
    const fresh = (await alertsOf(who))[0];
    expect(fresh).toMatchObject({ state: 'RAISED', value: 12, count: 1 });
    const told =
      (await rig.sql`SELECT type, actor FROM trace.event WHERE tenant_id = ${who.tenantId} AND type LIKE 'trace.alert.%'
      ORDER BY sequence`) as unknown as Json[];
    expect(told.map(({ type, actor }) => [type.split('.')[2], actor])).toEqual([
      ['raised', 'system:trace'],
      ['acknowledged', 'alice'],
      ['repeated', 'system:trace'],
      ['resolved', 'system:trace'],
      ['raised', 'system:trace'],
    ]);
    // One that nobody took, and that is over.
    await rig.sql`UPDATE trace.alert SET resolved_at = now() WHERE id = ${fresh.id}`;
    expect((await acknowledge(who, fresh.id)).userErrors).toEqual([{ code: 'INVALID_STATE', path: ['alertId'] }]);
    // They are forgotten as failed traces are.
    await rig.sql`UPDATE trace.alert SET resolved_at = now() - interval '721 hours' WHERE id = ${alert.id}`;
    await rig.sweep();
    expect((await alertsOf(who)).map(({ id: left }) => left)).toEqual([fresh.id]);
    // And go with their trace.
    await rig.ask(who, 'mutation($id: ID!) { deleteTrace(traceId: $id) { deletedIds } }', { id });
    expect(await alertsOf(who)).toEqual([]);
  });

  test('come in pages', async () => {
    const who = somebody();
    await addRule(who, { name: 'queue', metric: 'queue', threshold: 1, cooldownSeconds: 0 });
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      ids.push(await newTrace(who));
      await record(who, ids.at(-1)!, [{ name: 'queue', value: 2 }]);
    }
    await until(who, (alerts) => alerts.length === 5);
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { traceAlerts }: Json = await rig.ask(
        who,
        'query($after: String) { traceAlerts(first: 2, after: $after) { edges { cursor node { traceId trace { name } } } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      expect(traceAlerts.edges.every(({ node }: Json) => node.trace.name === 't')).toBe(true);
      seen.push(...traceAlerts.edges.map(({ node }: Json) => node.traceId));
      after = traceAlerts.pageInfo.hasNextPage ? traceAlerts.pageInfo.endCursor : null;
    } while (after !== null);
    expect(seen).toEqual(ids.toReversed());
    await expect(rig.ask(who, '{ traceAlerts(after: "nonsense") { nodes { id } } }')).rejects.toThrow('cursor');
  });

  test('of rules there are so many a tenant, and a key makes one', async () => {
    const few = await openTraceRig({ TRACE_ALERT_RULES: '2', TRACE_HISTORY: 'off' }, rig);
    const who = somebody();
    const input = (n: number) => ({ name: `rule ${n}`, metric: 'queue', threshold: n });
    const first = await configure(who, input(0), { key: 'once' }, few);
    expect(await configure(who, input(0), { key: 'once' }, few)).toEqual(first);
    expect((await configure(who, input(1), { key: 'once' }, few)).userErrors[0].code).toBe('IDEMPOTENCY_MISMATCH');
    const answers = await Promise.all([1, 2, 3, 4].map((n) => configure(who, input(n), {}, few)));
    expect(answers.flatMap(({ userErrors }) => userErrors.map(({ code }: Json) => code))).toEqual(
      Array.from({ length: 3 }, () => 'QUOTA_EXCEEDED'),
    );
    // A change of one that is there is no more of them; another tenant has its own.
    expect((await configure(who, { ...input(9), ruleId: first.rule.id }, {}, few)).userErrors).toEqual([]);
    expect((await configure(somebody(), input(1), {}, few)).userErrors).toEqual([]);
    await few[Symbol.asyncDispose]();
  });

  it.each([
    [{ metric: 'm', threshold: 1, name: '' }, 'name'],
    [{ metric: 'm', threshold: 1, name: 'x'.repeat(256) }, 'name'],
    [{ threshold: 1 }, 'metric'],
    [{ figure: 'DURATION', metric: 'm', threshold: 1 }, 'metric'],
    [{ figure: 'ERRORS', comparison: 'DEVIATES' }, 'comparison'],
    [{ metric: 'm' }, 'threshold'],
    [{ metric: 'm', comparison: 'DEVIATES', threshold: 0 }, 'threshold'],
    [{ metric: 'm', threshold: 1, cooldownSeconds: -1 }, 'cooldownSeconds'],
    [{ metric: 'm', threshold: 1, cooldownSeconds: 86_401 }, 'cooldownSeconds'],
    [{ metric: 'm', threshold: 1, service: '' }, 'service'],
    [{ metric: 'm', threshold: 1, ruleId: 'none' }, 'ruleId'],
  ])('rule %j is refused for its %s', async (input, field) => {
    const who = somebody();
    const { rule, userErrors } = await configure(who, { name: 'rule', ...input });
    expect([rule, userErrors.map(({ code, path }: Json) => [code, path.at(-1)])]).toEqual([
      null,
      [['VALIDATION_FAILED', field]],
    ]);
    expect((await rig.ask(who, '{ traceAlertRules { id } }')).traceAlertRules).toEqual([]);
  });

  test('bad ids and others’ rules are refused', async () => {
    const who = somebody();
    const rule = await addRule(who, { name: 'mine', metric: 'm', threshold: 1 });
    const input = { name: 'theirs', metric: 'm', threshold: 2, ruleId: rule.id };
    expect((await configure(stranger, input)).userErrors[0].code).toBe('NOT_FOUND');
    expect((await configure(who, input, { version: 9 })).userErrors[0].code).toBe('VERSION_CONFLICT');
    expect((await rig.ask(who, '{ traceAlertRules { name version } }')).traceAlertRules).toEqual([
      { name: 'mine', version: 1 },
    ]);
    expect((await rig.ask(stranger, '{ traceAlertRules { name } }')).traceAlertRules).toEqual([]);
    for (const filter of [{ ruleId: 'x' }, { traceId: 'x' }])
      await expect(alertsOf(who, filter)).rejects.toThrow('filter');
  });
});

describe('instances', () => {
  test('two of them hold each report against the rules once, also across a restart', async () => {
    const who = somebody();
    await addRule(who, { name: 'queue', metric: 'queue', threshold: 0, cooldownSeconds: 0 });
    const id = await newTrace(who);
    let second: Rig | null = await openTraceRig({ TRACE_HISTORY: 'off' }, rig);
    const reports = 40;
    for (let n = 1; n <= reports; n += 1) {
      await record(who, id, [{ name: 'queue', value: n }], n % 2 === 0 && second ? second : rig);
      // It goes in the middle of the work.
      if (n === 20) {
        await second?.[Symbol.asyncDispose]();
        second = null;
      }
    }
    const third = await openTraceRig({ TRACE_HISTORY: 'off' }, rig);
    await settled();
    expect(await alertsOf(who)).toMatchObject([{ count: reports, value: reports }]);
    const told =
      await rig.sql`SELECT count(*)::int AS n FROM trace.event WHERE tenant_id = ${who.tenantId} AND type = 'trace.alert.raised'`;
    expect(told[0]!['n']).toBe(1);
    await third[Symbol.asyncDispose]();
  });

  test('what was reported while none was there is held against the rules later', async () => {
    const quiet = await openTraceRig({ TRACE_ALERTS: 'off', TRACE_HISTORY: 'off' });
    const who = somebody();
    await addRule(who, { name: 'queue', metric: 'queue', threshold: 0 }, quiet);
    const id = await newTrace(who, quiet);
    for (let n = 1; n <= 250; n += 1) await record(who, id, [{ name: 'queue', value: n }], quiet);
    expect(await alertsOf(who, {}, quiet)).toEqual([]);
    const late = await openTraceRig({ TRACE_HISTORY: 'off' }, quiet);
    await until(who, (alerts) => alerts[0]?.count === 250, late);
    await late[Symbol.asyncDispose]();
    await quiet[Symbol.asyncDispose]();
  });
});
