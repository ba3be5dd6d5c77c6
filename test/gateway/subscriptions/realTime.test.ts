import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { RightsChange } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import { createMetrics, lateDeliveryMs, type Metrics } from '#shared/telemetry.ts';
import { hubMetricsOf } from '../../../gateway/subscriptions/metrics.ts';
import { openSocket, until } from './rig/clients.ts';
import { createRig, principalOf, type Rig, tenantId } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

const query = 'subscription ($d: ID!) { messageAdded(dialogId: $d) { sequence } }';

let table: EventTable;
let metrics: Metrics;
let rig: Rig;
let dialog: string;
let denial: PlatformError | null;
let changeRights: (change: RightsChange) => void;
const limits = { maxPerConnection: 10, maxPerSubject: 10, maxPerInstance: 10 };

beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());
beforeEach(async () => {
  metrics = createMetrics('one');
  denial = null;
  limits.maxPerInstance = 10;
  rig = await createRig({
    table,
    deps: {
      metrics: hubMetricsOf(metrics),
      streamLimits: limits,
      authenticate({ headers, connectionParams }) {
        const token = connectionParams?.['authorization'] ?? headers.authorization;
        if (token === 'Bearer early') throw new PlatformError('UNAVAILABLE', 'no keys yet');
        return principalOf(token);
      },
      authorize() {
        if (denial) throw denial;
      },
      onRightsChanged(listener) {
        changeRights = listener;
        return () => {};
      },
    },
  });
  dialog = randomUUID();
  await rig.commit(dialog, 'first');
});
afterEach(() => rig.close());

const figuresOf = async (name: 'realTime' | 'realTimeFailures') =>
  Object.fromEntries(
    (await metrics[name].get()).values.map(({ labels, value }) => [Object.values(labels)[0], value]),
  ) as Record<string, number>;

it('counts what was promised and nothing that failed where all goes well, and whose own mistake it is', async () => {
  const client = await openSocket(rig.webSocketUrl);
  client.subscribe('1', query, { d: dialog });
  await until(() => rig.hub.stats().subscriptions === 1, 'the subscription');
  await rig.say(dialog, 'hello');
  await until(() => client.results('1').length === 1, 'the message');
  client.subscribe('2', query, { d: randomUUID() });
  await until(() => client.messages('2').length === 1, 'the refusal');
  expect(await figuresOf('realTime')).toEqual({ connection: 1, subscription: 2, message: 1 });
  // A machine that is busy may be late: nothing else may be.
  expect(Object.keys(await figuresOf('realTimeFailures')).filter((reason) => reason !== 'late')).toEqual([]);
  client.close();
});

it('counts each message that comes late', async () => {
  const clients = [await openSocket(rig.webSocketUrl), await openSocket(rig.webSocketUrl)];
  for (const client of clients) client.subscribe('1', query, { d: dialog });
  await until(() => rig.hub.stats().subscriptions === 2, 'the subscriptions');
  const event = await rig.commit(dialog, 'late');
  rig.bus.publish([{ ...event, createdAt: new Date(Date.now() - lateDeliveryMs - 1).toISOString() }]);
  await until(() => clients.every((client) => client.results('1').length === 1), 'the messages');
  expect(await figuresOf('realTime')).toMatchObject({ message: 2 });
  expect(await figuresOf('realTimeFailures')).toEqual({ late: 2 });
  for (const client of clients) client.close();
});

it('counts a subscription that the platform refuses or ends, and none that it may not have', async () => {
  const client = await openSocket(rig.webSocketUrl);
  limits.maxPerInstance = 0;
  client.subscribe('1', query, { d: dialog });
  await until(() => client.messages('1').length === 1, 'the refusal');
  expect(await figuresOf('realTimeFailures')).toEqual({ subscription: 1 });
  limits.maxPerInstance = 10;
  for (const id of ['2', '3']) client.subscribe(id, query, { d: dialog });
  await until(() => rig.hub.stats().subscriptions === 2, 'the subscriptions');
  denial = new PlatformError('UNAVAILABLE', 'the rights cannot be read');
  changeRights({ tenantId, concerns: () => true } as RightsChange);
  await until(() => rig.hub.stats().subscriptions === 0, 'the end of both');
  expect(await figuresOf('realTimeFailures')).toEqual({ subscription: 3 });
  denial = null;
  client.subscribe('4', query, { d: dialog });
  await until(() => rig.hub.stats().subscriptions === 1, 'one more');
  denial = new PlatformError('PERMISSION_DENIED', 'not any more');
  changeRights({ tenantId, concerns: () => true } as RightsChange);
  await until(() => rig.hub.stats().subscriptions === 0, 'its end');
  expect(await figuresOf('realTimeFailures')).toEqual({ subscription: 3 });
  expect(await figuresOf('realTime')).toEqual({ connection: 1, subscription: 4 });
  client.close();
});

it('counts a socket that cannot be served, and none whose token is no good', async () => {
  const early = await openSocket(rig.webSocketUrl, 'Bearer early');
  expect((await early.closed).code).toBe(4500);
  const stranger = await openSocket(rig.webSocketUrl, 'no token');
  expect((await stranger.closed).code).toBe(4403);
  expect(await figuresOf('realTimeFailures')).toEqual({ connection: 1 });
  expect(await figuresOf('realTime')).toEqual({ connection: 2 });
});

it('counts a slow consumer once', async () => {
  hubMetricsOf(metrics).slowConsumerCut('sse');
  expect(await figuresOf('realTimeFailures')).toEqual({ slow_consumer: 1 });
});
