import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { monitoringSubscriptions } from '../../../subgraphs/platform/monitoring/subscriptions.ts';
import { type Json, type PlatformRig, somebody } from '../observeRig.ts';
import { alertCalls, errors, minuteMs, openAlertRig, type Who } from './alertRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openAlertRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const { evaluate, gauge, alertsOf, createRule, above } = alertCalls(() => rig);

describe('an alert', () => {
  it('is pending, fires when it has held for its time, is acknowledged, and is resolved', async () => {
    const [who, other] = [somebody(), somebody()];
    const { rule, userErrors } = await createRule(who, {
      name: 'full',
      conditions: [above('queue', 10)],
      forSeconds: 60,
      severity: 'CRITICAL',
    });
    expect(userErrors).toEqual([]);
    const begin = Date.now();
    await gauge(who.tenantId, 'queue', 11, begin);
    await evaluate(begin);
    expect(await alertsOf(who)).toMatchObject([{ ruleName: 'full', state: 'PENDING', value: 11, threshold: 10 }]);
    // What does not hold long enough was nothing.
    await gauge(who.tenantId, 'queue', 3, begin + 50_000);
    await evaluate(begin + 50_000);
    expect(await alertsOf(who)).toEqual([]);

    await gauge(who.tenantId, 'queue', 12, begin + minuteMs * 2);
    await evaluate(begin + minuteMs * 2);
    await gauge(who.tenantId, 'queue', 13, begin + minuteMs * 3);
    await evaluate(begin + minuteMs * 3);
    await evaluate(begin + minuteMs * 3 + 1);
    const [alert] = await alertsOf(who);
    expect(alert).toMatchObject({ state: 'FIRING', severity: 'CRITICAL', value: 13, outcome: null });
    const acknowledge = (by: Who) =>
      rig.ask(by, `mutation ($id: ID!) { acknowledgeAlert(alertId: $id) { alert { acknowledgedBy } ${errors} } }`, {
        id: alert.id,
      });
    expect((await acknowledge(other)).userErrors[0].code).toBe('NOT_FOUND');
    expect((await acknowledge(who)).alert.acknowledgedBy).toBe('alice');
    expect((await acknowledge(who)).userErrors).toEqual([]);
    await gauge(who.tenantId, 'queue', 1, begin + minuteMs * 4);
    await evaluate(begin + minuteMs * 4);
    expect(await alertsOf(who)).toMatchObject([{ id: alert.id, state: 'RESOLVED', acknowledgedBy: 'alice' }]);
    expect((await acknowledge(who)).userErrors).toEqual([]);
    const told = rig.events.filter(
      ({ tenantId, type }) => tenantId === who.tenantId && type.startsWith('platform.alert.'),
    );
    expect(told.map((event) => [event.type, 'sequence' in event && event.sequence])).toEqual([
      ['platform.alert.fired', 1],
      ['platform.alert.acknowledged', 2],
      ['platform.alert.resolved', 3],
    ]);
    expect(await alertsOf(other)).toEqual([]);
    expect(
      (
        await rig.ask(
          who,
          `mutation ($id: ID!, $input: PlatformAlertRuleInput!) { updateAlertRule(alertRuleId: $id, input: $input, expectedVersion: 1) { rule { version enabled } ${errors} } }`,
          {
            id: rule.id,
            input: { name: 'full', conditions: [above('queue', 10)], enabled: false },
          },
        )
      ).rule,
    ).toEqual({ version: 2, enabled: false });
  });

  it('of a day sees what was recorded a moment ago', async () => {
    const who = somebody();
    const day = above('queue', 10, { windowSeconds: 86_400 });
    expect((await createRule(who, { name: 'day', conditions: [day] })).userErrors).toEqual([]);
    await gauge(who.tenantId, 'queue', 11, Date.now());
    await evaluate(Date.now());
    expect(await alertsOf(who)).toMatchObject([{ ruleName: 'day', state: 'FIRING', value: 11 }]);
  });

  it('is refused where its rule makes no sense', async () => {
    const who = somebody();
    const rule = { name: 'r', conditions: [above('m', 1)] };
    for (const [input, code, path] of [
      [{ ...rule, conditions: [] }, 'VALIDATION_FAILED', ['input', 'conditions']],
      [{ ...rule, forSeconds: -1 }, 'VALIDATION_FAILED', ['input', 'forSeconds']],
      [{ ...rule, action: 'FAILOVER' }, 'VALIDATION_FAILED', ['input', 'action']],
      [
        { ...rule, conditions: [above('m', 1, { windowSeconds: 1 })] },
        'VALIDATION_FAILED',
        ['input', 'conditions', '0', 'windowSeconds'],
      ],
    ] as const)
      expect((await createRule(who, input)).userErrors[0]).toMatchObject({ code, path });
    expect((await createRule(who, rule)).userErrors).toEqual([]);
    expect((await createRule(who, rule)).userErrors[0].code).toBe('DUPLICATE_NAME');
    const remove = (id: string) =>
      rig.ask(who, `mutation ($id: ID!) { deleteAlertRule(alertRuleId: $id) { ${errors} } }`, { id });
    const [{ id }] = await rig.ask(who, '{ alertRules { id } }');
    expect((await remove(id)).userErrors).toEqual([]);
    expect((await remove(id)).userErrors[0].code).toBe('NOT_FOUND');
  });
});

it('performanceAlert brings alerts on what the platform measures of itself, and no others', async () => {
  const who = somebody();
  const atMs = Date.now();
  for (const metric of ['mplp_cpu_percent', 'shop_orders']) {
    await gauge(who.tenantId, metric, 99, atMs);
    await createRule(who, {
      name: metric,
      conditions: [above(metric, 90)],
      severity: metric === 'shop_orders' ? 'WARNING' : 'CRITICAL',
    });
  }
  await evaluate(atMs + 1);
  const fired = rig.events.filter(({ tenantId, type }) => tenantId === who.tenantId && type === 'platform.alert.fired');
  expect(fired).toHaveLength(2);
  const brought = async (args: object) => {
    const { decide } = await monitoringSubscriptions['performanceAlert']!.admit(who, args as never, { sql: rig.sql });
    return fired.filter((event) => decide(event) === 'deliver').map(({ data }) => (data['alert'] as Json).ruleName);
  };
  expect(await brought({})).toEqual(['mplp_cpu_percent']);
  expect(await brought({ severities: ['CRITICAL'] })).toEqual(['mplp_cpu_percent']);
  expect(await brought({ severities: ['WARNING'] })).toEqual([]);
  const payload = monitoringSubscriptions['performanceAlert']!.payload(fired[0]!) as Json;
  expect(payload).toMatchObject({ change: 'FIRED', alert: { state: 'FIRING', value: 99, threshold: 90 } });
});
