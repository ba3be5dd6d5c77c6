import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { eventCalls } from './eventCalls.ts';
import { startReceiver } from './receiver.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ env: { WEBHOOK_NETWORKS: '127.0.0.0/8,::1', EVENT_LEASE_MS: '5000' } });
});
afterAll(() => rig[Symbol.asyncDispose]());
const { publish, subscribe, deliveries, answer, redrive, replay, change, ready } = eventCalls(() => rig);
const order = (n: number, more: Json = {}) => ({ type: 'order.placed', payload: { n }, orderingKey: 'one', ...more });
const numbers = (list: readonly { event: { payload: Json } }[]) => list.map(({ event }) => event.payload.n);

describe('publishing', () => {
  it('orders events of a key without gaps, and takes each idempotency key once', async () => {
    const who = principal('ann', 'publishing');
    const first = await publish(who, [order(1, { idempotencyKey: 'a' }), order(2), order(3, { orderingKey: null })]);
    expect(first).toMatchObject({
      events: [
        { sequence: 1, repeated: false },
        { sequence: 2, repeated: false },
        { sequence: 1, repeated: false },
      ],
      userErrors: [],
    });
    const again = await publish(who, [order(4), order(1, { idempotencyKey: 'a' })]);
    expect(again.events).toMatchObject([
      { sequence: 3, repeated: false },
      { ...first.events[0], repeated: true },
    ]);
    const other = await publish(who, [order(5, { idempotencyKey: 'a' })]);
    expect(other.userErrors).toMatchObject([{ code: 'IDEMPOTENCY_MISMATCH' }]);
    const twins = await Promise.all(
      Array.from({ length: 8 }, () => publish(who, [order(9, { idempotencyKey: 'race' })])),
    );
    expect(new Set(twins.map(({ events }) => events[0].eventId)).size).toBe(1);
    expect(twins.filter(({ events }) => !events[0].repeated)).toHaveLength(1);
  });

  it('refuses what is no event, all or nothing', async () => {
    const who = principal('ann', 'refusing');
    const refused = async (input: Json) => (await publish(who, [order(1), input])).userErrors[0];
    expect(await refused(order(2, { type: 'order_placed' }))).toMatchObject({ path: ['inputs', '1', 'type'] });
    expect(await refused(order(2, { type: 'context.created' }))).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await refused(order(2, { payload: { text: 'x'.repeat(262_145) } }))).toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    expect(await refused(order(2, { payload: [1] }))).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await refused(order(2, { orderingKey: 'nul\0' }))).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await refused(order(2, { ttlMs: 1 }))).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect((await publish(who, [])).userErrors).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    const { events } = await rig.ask(who, '{ events { nodes { id } } }');
    expect(events.nodes).toEqual([]);
  });
});

describe('webhooks', () => {
  it('are told of every module in order, signed', async () => {
    await using receiver = await startReceiver();
    const who = principal('ann', 'hooked');
    const secret = 'a secret of some length';
    const { subscription } = await subscribe(who, {
      patterns: ['order.*', 'plan.created'],
      target: 'WEBHOOK',
      url: receiver.url,
      secret,
    });
    expect(subscription).toMatchObject({ hasSecret: true, status: 'ACTIVE' });
    await rig.change('plan', 'hooked', {
      events: [
        { streamId: newId(), type: 'plan.created', data: { plan: 1 }, tags: [] },
        { streamId: newId(), type: 'plan.deleted', data: { plan: 2 }, tags: [] },
      ],
    });
    await publish(principal('eve', 'elsewhere'), [order(0)]);
    await publish(who, [order(1), order(2), order(3)]);
    await until(
      async () => receiver.calls.length,
      (count) => count >= 4,
    );
    const orders = receiver.deliveries().filter(({ event }) => event.type === 'order.placed');
    expect(numbers(orders)).toEqual([1, 2, 3]);
    expect(receiver.deliveries().map(({ event }) => event.type)).toContain('plan.created');
    expect(receiver.calls).toHaveLength(4);
    const { headers, body } = receiver.calls[0]!;
    const [, at, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['mplp-signature']))!;
    expect(signature).toBe(createHmac('sha256', secret).update(`${at}.${body}`).digest('hex'));
    const kept = await until(
      () => deliveries(who),
      (list) => list.every(({ status }) => status === 'ACKNOWLEDGED'),
    );
    expect(kept).toHaveLength(4);
    const { eventMetrics } = await rig.ask(who, '{ eventMetrics { deliveries acknowledged waiting errorRate p95Ms } }');
    expect(eventMetrics).toMatchObject({
      deliveries: 4,
      acknowledged: 4,
      waiting: 0,
      errorRate: 0,
      p95Ms: expect.any(Number),
    });
  });

  it('that fail are tried again, hold back their partition, and end as dead letters that can be redriven', async () => {
    let broken = true;
    await using receiver = await startReceiver(({ deliveries: [first] }) =>
      broken && first!.event.payload.n === 1 ? 500 : 200,
    );
    const who = principal('ann', 'failing');
    const { subscription } = await subscribe(who, {
      target: 'WEBHOOK',
      url: receiver.url,
      maxRetry: 2,
      retryDelayMs: 100,
    });
    await publish(who, [order(1), order(2)]);
    const dead = await until(
      () => deliveries(who, { status: ['DEAD'] }),
      (list) => list.length === 1,
    );
    expect(dead[0]).toMatchObject({ attempt: 3, lastError: 'it answered 500', subscriptionId: subscription.id });
    await until(
      async () => receiver.calls.length,
      (count) => count === 4,
    );
    // Nothing overtakes what is tried again.
    expect(numbers(receiver.deliveries())).toEqual([1, 1, 1, 2]);
    expect(
      new Set(
        receiver
          .deliveries()
          .slice(0, 3)
          .map(({ inboxKey }) => inboxKey),
      ).size,
    ).toBe(1);
    const { deadLetters } = await rig.ask(who, '{ deadLetters { nodes { id } } }');
    expect(deadLetters.nodes).toEqual([{ id: dead[0].id }]);
    broken = false;
    expect(await redrive(who, dead[0].id)).toMatchObject({ delivery: { status: 'PENDING' }, userErrors: [] });
    await until(
      () => deliveries(who),
      (list) => list.every(({ status }) => status === 'ACKNOWLEDGED'),
    );
    expect((await redrive(who, dead[0].id)).userErrors).toMatchObject([{ code: 'INVALID_STATE' }]);
  });

  it('take batches, and only what is at fault is given up', async () => {
    await using receiver = await startReceiver(({ deliveries: list }) =>
      list.some(({ event }) => event.payload.n === 2) ? 400 : 200,
    );
    const who = principal('ann', 'batches');
    const options = {
      target: 'WEBHOOK',
      url: receiver.url,
      batchSize: 10,
      maxRetry: 1,
      retryDelayMs: 100,
      deadLetter: false,
    };
    const { subscription } = await subscribe(who, options);
    await change(who, 'pauseEventSubscription', subscription.id);
    await publish(
      who,
      [1, 2, 3, 4].map((n) => order(n)),
    );
    await until(
      () => deliveries(who),
      (list) => list.length === 4,
    );
    expect(receiver.calls).toHaveLength(0);
    await change(who, 'resumeEventSubscription', subscription.id);
    await until(
      () => deliveries(who, { status: ['ACKNOWLEDGED'] }),
      (list) => list.length === 3,
    );
    expect(receiver.calls.map(({ deliveries: list }) => numbers(list))[0]).toEqual([1, 2, 3, 4]);
    const [failed] = await deliveries(who, { status: ['FAILED'] });
    expect(failed.event.payload).toEqual({ n: 2 });
  });

  it('are not sent what has outlived its time', async () => {
    await using receiver = await startReceiver();
    const who = principal('ann', 'outlived');
    const { subscription } = await subscribe(who, { target: 'WEBHOOK', url: receiver.url });
    await change(who, 'pauseEventSubscription', subscription.id);
    await publish(who, [order(1, { ttlMs: 1_000 }), order(2)]);
    await until(
      () => deliveries(who),
      (list) => list.length === 2,
    );
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await change(who, 'resumeEventSubscription', subscription.id);
    await until(
      () => deliveries(who, { status: ['ACKNOWLEDGED'] }),
      (list) => list.length === 1,
    );
    expect(numbers(receiver.deliveries())).toEqual([2]);
    expect((await deliveries(who, { status: ['FAILED'] }))[0]).toMatchObject({ lastError: 'its time to live is over' });
  });
});

describe('pull', () => {
  it('brings one delivery of a partition at a time, the next when it is answered', async () => {
    const who = principal('ann', 'pulling');
    const { subscription } = await subscribe(who, {});
    await publish(who, [order(1), order(2)]);
    const [first] = await until(
      () => ready(subscription.id),
      (list) => list.length === 1,
    );
    expect(first.event.payload).toEqual({ n: 1 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await ready(subscription.id)).toHaveLength(1);
    expect(await answer(who, first.id)).toMatchObject({ first: true, delivery: { status: 'ACKNOWLEDGED' } });
    expect(await answer(who, first.id)).toMatchObject({ first: false, userErrors: [] });
    const [, second] = await until(
      () => ready(subscription.id),
      (list) => list.length === 2,
    );
    expect(await answer(who, second.id, 'FAILED')).toMatchObject({ delivery: { status: 'PENDING' } });
    const again = await until(
      () => ready(subscription.id),
      (list) => list.length === 3,
    );
    expect(again[2]).toMatchObject({ id: second.id, attempt: 2 });
    expect(await answer(who, second.id, 'REJECTED')).toMatchObject({ delivery: { status: 'DEAD' } });
    expect((await answer(who, second.id)).userErrors).toMatchObject([{ code: 'INVALID_STATE' }]);
    expect((await answer(principal('eve', 'elsewhere'), first.id)).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
  });

  it('brings again what is not answered in time', async () => {
    const who = principal('ann', 'silent');
    const { subscription } = await subscribe(who, { ackTimeoutMs: 1_000, maxRetry: 1 });
    await publish(who, [order(1), order(2)]);
    const brought = await until(
      () => ready(subscription.id),
      (list) => list.length === 3,
    );
    expect(brought.map(({ event, attempt }) => [event.payload.n, attempt])).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
    ]);
    expect(await deliveries(who, { status: ['DEAD'] })).toMatchObject([
      { lastError: 'no acknowledgement within 1000 ms' },
    ]);
  });
});

describe('subscriptions', () => {
  it('are 20 at most, named once, changed by version and forgotten with what they had', async () => {
    const who = principal('ann', 'twenty');
    const made = [];
    for (let n = 0; n < 20; n += 1) made.push((await subscribe(who, { name: `group ${n}` })).subscription);
    expect((await subscribe(who, { name: 'one more' })).userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
    expect((await subscribe(who, { name: 'group 3' })).userErrors).toMatchObject([{ code: 'CONFLICT' }]);
    const [{ id }] = made;
    expect((await change(who, 'pauseEventSubscription', id, 7)).userErrors).toMatchObject([
      { code: 'VERSION_CONFLICT' },
    ]);
    expect(await change(who, 'pauseEventSubscription', id, 1)).toMatchObject({
      subscription: { status: 'PAUSED', revision: 2 },
    });
    await publish(who, [order(1)]);
    await until(
      () => deliveries(who, { subscriptionId: id }),
      (list) => list.length === 1,
    );
    expect((await change(principal('eve', 'elsewhere'), 'deleteEventSubscription', id)).userErrors).toMatchObject([
      { code: 'NOT_FOUND' },
    ]);
    expect(await change(who, 'deleteEventSubscription', id)).toMatchObject({ deletedId: id });
    expect(await deliveries(who, { subscriptionId: id })).toEqual([]);
    const { eventSubscriptions } = await rig.ask(who, '{ eventSubscriptions { name } }');
    expect(eventSubscriptions).toHaveLength(19);
  });

  it('refuse what they cannot be', async () => {
    const who = principal('ann', 'bad');
    const refused = async (input: Json) => (await subscribe(who, input)).userErrors[0]?.path?.join('.');
    expect(await refused({ patterns: ['order*'] })).toBe('input.patterns.0');
    expect(await refused({ patterns: [] })).toBe('input.patterns');
    expect(await refused({ partitions: 101 })).toBe('input.partitions');
    expect(await refused({ maxRetry: 11 })).toBe('input.maxRetry');
    expect(await refused({ target: 'WEBHOOK' })).toBe('input.url');
    expect(await refused({ target: 'WEBHOOK', url: 'ftp://example.org' })).toBe('input.url');
    expect(await refused({ target: 'WEBHOOK', url: 'http://me:pass@example.org' })).toBe('input.url');
    expect(await refused({ url: 'http://example.org' })).toBe('input.url');
  });
});

describe('replays', () => {
  it('deliver kept events again, of exactly once only what was not processed', async () => {
    const who = principal('ann', 'replaying');
    await publish(who, [order(0)]);
    const loose = (await subscribe(who, { partitions: 4 })).subscription.id;
    const exact = (await subscribe(who, { partitions: 4, deliveryMode: 'EXACTLY_ONCE' })).subscription.id;
    await publish(who, [order(1, { orderingKey: 'a' }), order(2, { orderingKey: 'b' })]);
    for (const id of [loose, exact]) {
      for (const { id: deliveryId } of await until(
        () => ready(id),
        (list) => list.length === 2,
      ))
        await answer(who, deliveryId);
    }
    expect(await replay(who, loose, 'key')).toMatchObject({ deliveries: 3, nextFrom: null, userErrors: [] });
    expect(await replay(who, loose, 'key')).toMatchObject({ deliveries: 3 });
    expect(await replay(who, exact)).toMatchObject({ deliveries: 1 });
    const again = await until(
      () => ready(loose),
      (list) => list.length === 5,
    );
    expect(numbers(again.slice(2)).toSorted()).toEqual([0, 1, 2]);
    expect(await deliveries(who, { subscriptionId: exact })).toMatchObject([{ replayId: expect.any(String) }, {}, {}]);
  });
});

describe('what is over', () => {
  it('is forgotten after the days that events are kept; what waits is not', async () => {
    const who = principal('ann', 'swept');
    const { subscription } = await subscribe(who, { deliveryMode: 'EXACTLY_ONCE' });
    await publish(who, [order(1), order(2)]);
    const [first] = await until(
      () => ready(subscription.id),
      (list) => list.length === 1,
    );
    await answer(who, first.id);
    await rig.sql`UPDATE platform.delivery SET created_at = created_at - interval '8 days' WHERE tenant_id = 'swept'`;
    await rig.sql`UPDATE platform.event_inbox SET processed_at = processed_at - interval '8 days' WHERE tenant_id = 'swept'`;
    await rig.run('sweepEvents');
    expect((await deliveries(who)).map(({ event }) => event.payload)).toEqual([{ n: 2 }]);
    const [left] = await rig.sql<
      { n: number }[]
    >`SELECT count(*) AS n FROM platform.event_inbox WHERE tenant_id = 'swept'`;
    expect(left!.n).toBe(0);
  });
});

describe('the log', () => {
  it('pages through the events of all modules by filter, without the platform’s own deliveries', async () => {
    const who = principal('ann', 'logged');
    await subscribe(who, {});
    for (let n = 0; n < 5; n += 1) {
      await rig.change('context', 'logged', {
        events: [{ streamId: newId(), type: 'context.created', data: { n }, tags: [] }],
      });
      await publish(who, [order(n)]);
    }
    const list = async (variables: Json) =>
      (
        await rig.ask(
          who,
          `query ($filter: PlatformEventFilter, $first: Int, $after: String) { events(filter: $filter, first: $first, after: $after) {
             nodes { id module type payload } pageInfo { hasNextPage endCursor } } }`,
          variables,
        )
      ).events;
    await until(
      () => deliveries(who),
      (found) => found.length === 5,
    );
    const whole = (await list({ first: 100 })).nodes;
    expect(whole.map(({ type }: Json) => type).toSorted()).toEqual([
      ...Array(5).fill('context.created'),
      'event.subscription.created',
      ...Array(5).fill('order.placed'),
    ]);
    const paged: Json[] = [];
    for (let after: string | null = null; ; ) {
      const page: Json = await list({ first: 3, after });
      paged.push(...page.nodes);
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(paged).toEqual(whole);
    expect((await list({ filter: { patterns: ['order.*'] } })).nodes).toHaveLength(5);
    expect((await list({ filter: { modules: ['context'] } })).nodes).toHaveLength(5);
    expect((await list({ filter: { actor: 'ann' } })).nodes).toHaveLength(6);
    const reader = principal('reader', 'logged', ['event:read', 'event:publish']);
    expect((await rig.answer(reader, '{ events { nodes { id } } }')).errors[0].extensions.code).toBe(
      'PERMISSION_DENIED',
    );
  });
});
