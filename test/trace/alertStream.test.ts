import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostPlatform, modes, type Platform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code message }';

interface Update {
  readonly cursor: string;
  readonly sequence: number;
  readonly change: string;
  readonly alert: {
    readonly id: string;
    readonly value: number;
    readonly state: string;
    readonly trace: { name: string };
  };
}

describe.each(modes)('anomalyAlerts, %s', (mode) => {
  let platform: Platform;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    platform = await hostPlatform({ mode, env: { TRACE_HISTORY: 'false' } });
    for (const subject of ['owner', 'other']) tokens[subject] = await platform.token({ tenant: 'one', subject });
    tokens['elsewhere'] = await platform.token({ tenant: 'two', subject: 'owner' });
  }, 60_000);
  afterAll(() => platform.close());

  async function field(who: string, document: string, variables: object = {}): Promise<Json> {
    const token = tokens[who]!;
    const answer = await platform.query<Json>(document, variables as Record<string, unknown>, { token });
    expect(answer.errors).toEqual([]);
    return Object.values(answer.data!)[0] as Json;
  }
  const follow = (who: string, after: string | null = null) =>
    subscribe<{ anomalyAlerts: Update }>({
      url: platform.url,
      query:
        'subscription ($after: String) { anomalyAlerts(after: $after) { cursor sequence change alert { id value state trace { name } } } }',
      variables: { after },
      token: tokens[who]!,
    });
  const newTrace = async (title: string, visibility: string) => {
    const { context } = await field(
      'owner',
      `mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } ${errors} } }`,
      { input: { title, root: { domain: 'd', environment: 'e' }, accessControl: { visibility } } },
    );
    const { trace } = await field(
      'owner',
      `mutation ($id: ID!, $name: String!) { createTrace(input: { contextId: $id, name: $name }) { trace { id } ${errors} } }`,
      { id: context.id, name: title },
    );
    return trace.id as string;
  };
  const record = async (traceId: string, value: number) =>
    expect(
      (
        await field(
          'owner',
          `mutation ($id: ID!, $value: Float!) { recordMetrics(traceId: $id, metrics: [{ name: "queue", value: $value }]) { ${errors} } }`,
          { id: traceId, value },
        )
      ).userErrors,
    ).toEqual([]);

  test('tells who sees the trace, and goes on behind a cursor without gap or repeat', async () => {
    const rule = await field(
      'owner',
      `mutation ($input: ConfigureAlertInput!) { configureAlert(input: $input) { rule { id } ${errors} } }`,
      { input: { name: 'queue', metric: 'queue', threshold: 1, cooldownSeconds: 0 } },
    );
    expect(rule.userErrors).toEqual([]);
    const [secret, ...open] = [
      await newTrace('secret', 'PRIVATE'),
      await newTrace('first', 'TENANT'),
      await newTrace('second', 'TENANT'),
      await newTrace('third', 'TENANT'),
    ];
    const [owner, other, elsewhere] = [follow('owner'), follow('other'), follow('elsewhere')];
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await record(secret!, 10);
    await record(open[0]!, 11);
    const raised = (value: number) => (payloads: readonly { anomalyAlerts: Update }[]) =>
      payloads.some(({ anomalyAlerts }) => anomalyAlerts.alert.value === value);
    await Promise.all([owner.until(raised(11)), other.until(raised(11))]);
    const told = (stream: typeof owner) =>
      stream.payloads.map(({ anomalyAlerts: { change, alert } }) => [
        change,
        alert.value,
        alert.trace.name,
        alert.state,
      ]);
    expect(told(owner)).toEqual([
      ['RAISED', 10, 'secret', 'RAISED'],
      ['RAISED', 11, 'first', 'RAISED'],
    ]);
    expect(told(other)).toEqual([['RAISED', 11, 'first', 'RAISED']]);
    const { cursor, alert } = other.payloads[0]!.anomalyAlerts;
    await other.close();

    // Nobody of the others listens meanwhile.
    await record(open[1]!, 12);
    const acknowledge = `mutation ($id: ID!) { acknowledgeTraceAlert(alertId: $id) { alert { state } ${errors} } }`;
    expect((await field('other', acknowledge, { id: alert.id })).alert).toEqual({ state: 'ACKNOWLEDGED' });
    const hidden = owner.payloads[0]!.anomalyAlerts.alert.id;
    expect((await field('other', acknowledge, { id: hidden })).userErrors[0].code).toBe('NOT_FOUND');
    await owner.until(raised(12));
    const again = follow('other', cursor);
    await again.until(raised(12));
    await record(open[2]!, 13);
    await again.until(raised(13));
    const changes = told(again).map(([change, value]) => [change, value]);
    expect(changes.toSorted()).toEqual([
      ['ACKNOWLEDGED', 11],
      ['RAISED', 12],
      ['RAISED', 13],
    ]);
    const sequences = again.payloads.map(({ anomalyAlerts }) => anomalyAlerts.sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));

    const list = async (who: string) =>
      (await field(who, '{ traceAlerts { nodes { value trace { name } } } }')).nodes.map(({ value }: Json) => value);
    for (let round = 0; round < 3; round += 1) {
      expect(await list('owner')).toEqual([13, 12, 11, 10]);
      expect(await list('other')).toEqual([13, 12, 11]);
      expect(await list('elsewhere')).toEqual([]);
    }
    expect([owner.errors, again.errors, elsewhere.errors, elsewhere.payloads]).toEqual([[], [], [], []]);
    const astray = follow('elsewhere', cursor);
    await expect.poll(() => JSON.stringify(astray.errors), { timeout: 5_000 }).toContain('CURSOR_INVALID');
    await Promise.all([owner, again, elsewhere, astray].map((stream) => stream.close()));
  }, 60_000);
});
