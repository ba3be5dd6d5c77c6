import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventCalls } from './eventCalls.ts';
import { startReceiver } from './receiver.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ env: { WEBHOOK_NETWORKS: '127.0.0.0/8,::1', EVENT_LEASE_MS: '5000' } });
});
afterAll(() => rig[Symbol.asyncDispose]());
const { publish, subscribe, deliveries, answer, change } = eventCalls(() => rig);
const order = (n: number, more: Json = {}) => ({ type: 'order.placed', payload: { n }, ...more });
const numbers = (list: readonly { event: { payload: Json } }[]) => list.map(({ event }) => event.payload.n);

async function ended(who: ReturnType<typeof principal>, subscriptionId: string, count: number): Promise<Json[]> {
  return until(
    () => deliveries(who, { subscriptionId, status: ['ACKNOWLEDGED', 'FAILED', 'DEAD'] }),
    (list) => list.length === count,
  );
}

describe('the envelope of an event', () => {
  it('comes with it to its consumers and into the log, which is searched by it', async () => {
    await using receiver = await startReceiver();
    const who = principal('ann', 'enveloped');
    await subscribe(who, { target: 'WEBHOOK', url: receiver.url });
    const told = {
      category: 'WORKFLOW_STATUS',
      priority: 'HIGH',
      targetModules: ['plan', 'plan', 'trace'],
      replyTo: 'order.answered',
      correlationId: 'c-1',
    };
    await publish(who, [order(1, { ...told, ttlMs: 3_600_000 }), order(2)]);
    await until(
      async () => receiver.deliveries().length,
      (count) => count === 2,
    );
    const [first, second] = receiver.deliveries().toSorted((one, two) => one.event.payload.n - two.event.payload.n);
    expect(first!.event).toMatchObject({ ...told, targetModules: ['plan', 'trace'] });
    const { expiresAt, timestamp } = first!.event as Json;
    expect(Date.parse(expiresAt) - Date.parse(timestamp)).toBeGreaterThan(3_500_000);
    expect(second!.event).toMatchObject({
      category: 'CUSTOM_EVENT',
      priority: 'NORMAL',
      targetModules: [],
      replyTo: null,
      expiresAt: null,
    });
    await rig.change('plan', 'enveloped', {
      events: [
        { streamId: crypto.randomUUID(), type: 'plan.created', data: { category: 'WORKFLOW_STATUS' }, tags: [] },
      ],
    });
    const types = async (filter: Json): Promise<string[]> =>
      (
        await rig.ask(
          who,
          'query ($filter: PlatformEventFilter) { events(filter: $filter) { nodes { type payload category priority } } }',
          { filter },
        )
      ).events.nodes.map(({ type, payload }: Json) => `${type} ${payload.n ?? ''}`);
    expect(await types({ categories: ['WORKFLOW_STATUS'] })).toEqual(['order.placed 1']);
    expect(await types({ correlationId: 'c-1' })).toEqual(['order.placed 1']);
    expect(await types({ priorities: ['HIGH', 'CRITICAL'] })).toEqual(['order.placed 1']);
    expect(await types({ priorities: ['NORMAL'], patterns: ['order.*', 'plan.*'] })).toEqual([
      'plan.created ',
      'order.placed 2',
    ]);
  });

  it('says by targets and headers which groups are told', async () => {
    const who = principal('ann', 'targeted');
    const ids: Record<string, string> = {};
    for (const [name, more] of Object.entries({
      all: {},
      plan: { module: 'plan' },
      trace: { module: 'trace' },
      eu: { headers: { region: 'eu', vip: true } },
    }))
      ids[name] = (await subscribe(who, { name, batchSize: 100, ...more })).subscription.id;
    await publish(who, [
      order(1, { targetModules: ['plan'] }),
      order(2),
      order(3, { headers: { region: 'eu', vip: true, more: 1 } }),
      order(4, { headers: { region: 'eu' } }),
      order(5, { headers: { region: 'eu', vip: 'true' }, targetModules: ['trace', 'plan'] }),
    ]);
    const got = async (name: string) => numbers(await deliveries(who, { subscriptionId: ids[name] })).toSorted();
    await until(
      () => got('all'),
      (list) => list.length === 5,
    );
    expect(await got('plan')).toEqual([1, 2, 3, 4, 5]);
    expect(await got('trace')).toEqual([2, 3, 4, 5]);
    expect(await got('eu')).toEqual([3]);
  });

  it('lets the more urgent go first, and no event pass one of its own key', async () => {
    await using receiver = await startReceiver();
    const who = principal('ann', 'urgent');
    const { subscription } = await subscribe(who, { target: 'WEBHOOK', url: receiver.url });
    await change(who, 'pauseEventSubscription', subscription.id);
    await publish(who, [
      order(1, { orderingKey: 'a', priority: 'LOW' }),
      order(2, { orderingKey: 'b' }),
      order(3, { orderingKey: 'a', priority: 'CRITICAL' }),
      order(4, { orderingKey: 'c', priority: 'HIGH' }),
      order(5, { orderingKey: 'd', priority: 'CRITICAL' }),
      order(6, { orderingKey: 'b' }),
    ]);
    await until(
      () => deliveries(who, { subscriptionId: subscription.id }),
      (list) => list.length === 6,
    );
    await change(who, 'resumeEventSubscription', subscription.id);
    await ended(who, subscription.id, 6);
    expect(numbers(receiver.deliveries())).toEqual([5, 4, 2, 6, 1, 3]);
  });
});

describe('what is fired and forgotten', () => {
  it('is tried once, and kept nowhere to be delivered anew', async () => {
    await using receiver = await startReceiver(() => 500);
    const who = principal('ann', 'forgotten');
    const { subscription } = await subscribe(who, {
      target: 'WEBHOOK',
      url: receiver.url,
      deliveryMode: 'FIRE_AND_FORGET',
      maxRetry: 5,
    });
    await publish(who, [order(1), order(2)]);
    const list = await ended(who, subscription.id, 2);
    expect(list.map(({ status, attempt, fault }) => [status, attempt, fault])).toEqual([
      ['FAILED', 1, 'FAILED'],
      ['FAILED', 1, 'FAILED'],
    ]);
    expect(receiver.calls).toHaveLength(2);
  });

  it('asks no consumer for an answer', async () => {
    const who = principal('ann', 'unanswered');
    const { subscription } = await subscribe(who, { deliveryMode: 'FIRE_AND_FORGET', ackTimeoutMs: 3_600_000 });
    await publish(who, [order(1), order(2)]);
    const list = await ended(who, subscription.id, 2);
    expect(list.map(({ status, attempt, processingMs }) => [status, attempt, processingMs])).toEqual([
      ['ACKNOWLEDGED', 1, 0],
      ['ACKNOWLEDGED', 1, 0],
    ]);
  });
});

describe('a batch', () => {
  it('waits for company no longer than it was told', async () => {
    await using receiver = await startReceiver();
    const who = principal('ann', 'company');
    const hook = { target: 'WEBHOOK', url: receiver.url, batchSize: 3 };
    const { subscription } = await subscribe(who, { ...hook, batchWaitMs: 60_000 });
    await publish(who, [order(1, { orderingKey: 'k' })]);
    await publish(who, [order(2, { orderingKey: 'k' })]);
    await until(
      () => deliveries(who, { subscriptionId: subscription.id }),
      (list) => list.length === 2,
    );
    // Longer than it is looked at again: it waits for the third.
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(receiver.calls).toEqual([]);
    await publish(who, [order(3, { orderingKey: 'k' })]);
    await ended(who, subscription.id, 3);
    expect(receiver.calls).toHaveLength(1);
    expect(numbers(receiver.deliveries())).toEqual([1, 2, 3]);

    await using other = await startReceiver();
    const short = await subscribe(who, { ...hook, url: other.url, patterns: ['invoice.*'], batchWaitMs: 300 });
    await publish(who, [{ type: 'invoice.sent', payload: { n: 7 } }]);
    await ended(who, short.subscription.id, 1);
    expect(numbers(other.deliveries())).toEqual([7]);
  });
});

describe('figures of deliveries', () => {
  it('tell what was published, rejected, timed out and given up', async () => {
    const who = principal('ann', 'figures');
    const { subscription } = await subscribe(who, { batchSize: 10, maxRetry: 0, ackTimeoutMs: 1_000 });
    await publish(who, [order(1), order(2), { type: 'invoice.sent', payload: { n: 3 } }]);
    const sent = await until(
      () => deliveries(who, { subscriptionId: subscription.id, status: ['SENT'] }),
      (list) => list.length === 2,
    );
    await answer(who, sent[0]!.id, 'REJECTED');
    const dead = await ended(who, subscription.id, 2);
    expect(dead.map(({ status, fault }) => `${status} ${fault}`).toSorted()).toEqual(['DEAD REJECTED', 'DEAD TIMEOUT']);
    const { eventMetrics } = await rig.ask(
      who,
      '{ eventMetrics { published deliveries deadLetters timeouts errorRate timeoutRate deadLetterRate } }',
    );
    expect(eventMetrics).toEqual({
      published: 3,
      deliveries: 2,
      deadLetters: 2,
      timeouts: 1,
      errorRate: 1,
      timeoutRate: 0.5,
      deadLetterRate: 1,
    });
  });
});

describe('a replay', () => {
  it('may be of fewer events than the subscription is told of', async () => {
    const who = principal('ann', 'narrowed');
    const { subscription } = await subscribe(who, { patterns: ['order.*'], module: 'plan' });
    const { events } = await publish(who, [
      order(1),
      order(2, { type: 'order.sent', orderingKey: 'k' }),
      order(3, { targetModules: ['trace'] }),
      { type: 'invoice.sent', payload: {} },
    ]);
    const replay = async (more: Json) => {
      const { replayEvents } = await rig.ask(
        who,
        `mutation ($id: ID!, $from: DateTime!, $to: DateTime!, $patterns: [String!], $streamId: ID) {
           replayEvents(subscriptionId: $id, from: $from, to: $to, patterns: $patterns, streamId: $streamId) { deliveries userErrors { path } } }`,
        { id: subscription.id, from: '2026-01-01T00:00:00.000Z', to: '2099-01-01T00:00:00.000Z', ...more },
      );
      return replayEvents.deliveries ?? replayEvents.userErrors;
    };
    expect(await replay({})).toBe(2);
    expect(await replay({ patterns: ['order.sent'] })).toBe(1);
    // What the subscription is not told of, a replay does not tell either.
    expect(await replay({ patterns: ['*'] })).toBe(2);
    expect(await replay({ patterns: ['invoice.*'] })).toBe(0);
    expect(await replay({ streamId: events[1].streamId })).toBe(1);
    expect(await replay({ patterns: ['Order'] })).toMatchObject([{ path: ['patterns', '0'] }]);
    expect(await replay({ streamId: 'nobody' })).toMatchObject([{ path: ['streamId'] }]);
  });
});

it('envelopes and groups that make no sense are refused', async () => {
  const who = principal('ann', 'senseless');
  const published = async (more: Json) => (await publish(who, [order(1, more)])).userErrors[0]?.path?.at(-1);
  expect(await published({ targetModules: ['nowhere'] })).toBe('0');
  expect(await published({ replyTo: 'Not_Dotted' })).toBe('replyTo');
  const subscribed = async (more: Json) => (await subscribe(who, more)).userErrors[0]?.path?.at(-1);
  expect(await subscribed({ module: 'nowhere' })).toBe('module');
  expect(await subscribed({ headers: { deep: { er: 1 } } })).toBe('headers');
  expect(await subscribed({ batchWaitMs: 60_001 })).toBe('batchWaitMs');
});
