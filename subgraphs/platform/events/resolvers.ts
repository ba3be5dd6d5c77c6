import type { Connection } from '#shared/connection.ts';
import { callOf } from '../call.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import type { LoggedEvent } from './log.ts';
import { type DeliveryRow, deliveredEvent, shownDelivery, shownSubscription } from './rows.ts';

const hourMs = 3_600_000;

function shownPage<Row, Shown>({ edges: found, pageInfo }: Connection<Row>, show: (row: Row) => Shown) {
  const edges = found.map(({ cursor, node }) => ({ cursor, node: show(node) }));
  return { edges, nodes: edges.map(({ node }) => node), pageInfo };
}

const shownEvent = (event: LoggedEvent) => {
  const shown = deliveredEvent(event);
  return { ...shown, targetModules: [...shown.targetModules] };
};
const lowered = <Value extends string>(values: readonly Value[] | null | undefined) =>
  values == null ? null : values.map((value) => value.toLowerCase() as Lowercase<Value>);

export const eventQueries = {
  events: async (_parent, { filter, ...page }, { service, scope }) =>
    shownPage(await service.events.page(scope, filter ?? {}, page), shownEvent),
  eventSubscription: async (_parent, { id }, { service, scope }) => {
    const row = await service.events.subscriptions.find(scope, id);
    return row && shownSubscription(row);
  },
  eventSubscriptions: async (_parent, _args, { service, scope }) =>
    (await service.events.subscriptions.all(scope)).map(shownSubscription),
  deliveries: async (_parent, { subscriptionId, eventId, status, ...page }, { service, scope }) => {
    const search = { subscriptionId: subscriptionId ?? null, eventId: eventId ?? null, status: lowered(status) };
    return shownPage<DeliveryRow, ReturnType<typeof shownDelivery>>(
      await service.events.deliveries.page(scope, search, page),
      shownDelivery,
    );
  },
  deadLetters: async (_parent, { subscriptionId, ...page }, { service, scope }) =>
    shownPage<DeliveryRow, ReturnType<typeof shownDelivery>>(
      await service.events.deliveries.page(
        scope,
        { subscriptionId: subscriptionId ?? null, eventId: null, status: ['dead'] },
        page,
      ),
      shownDelivery,
    ),
  eventMetrics: (_parent, { subscriptionId, from, to }, { service, scope }) => {
    const end = to ?? new Date();
    return service.events.metrics(scope, {
      subscriptionId: subscriptionId ?? null,
      from: from ?? new Date(end.getTime() - hourMs),
      to: end,
    });
  },
} satisfies QueryResolvers;

export const eventMutations = {
  publishEvent: async (_parent, { input }, { service, scope }) => {
    const [event] = await service.events.publish(scope, [input], ['input']);
    return { event: event!, userErrors: [] };
  },
  publishEvents: async (_parent, { inputs }, { service, scope }) => ({
    events: [...(await service.events.publish(scope, inputs, ['inputs']))],
    userErrors: [],
  }),
  createEventSubscription: async (_parent, { input, idempotencyKey }, { service, scope }) => {
    const row = await service.events.subscriptions.create(scope, input, (asked) =>
      callOf(scope, idempotencyKey, 'createEventSubscription', asked),
    );
    return { subscription: shownSubscription(row), userErrors: [] };
  },
  pauseEventSubscription: async (_parent, { subscriptionId, expectedVersion, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'pauseEventSubscription', { subscriptionId, expectedVersion });
    const how = { expectedVersion: expectedVersion ?? null, call };
    const row = await service.events.subscriptions.setStatus(scope, subscriptionId, 'paused', how);
    return { subscription: shownSubscription(row), userErrors: [] };
  },
  resumeEventSubscription: async (_parent, { subscriptionId, expectedVersion, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'resumeEventSubscription', { subscriptionId, expectedVersion });
    const how = { expectedVersion: expectedVersion ?? null, call };
    const row = await service.events.subscriptions.setStatus(scope, subscriptionId, 'active', how);
    return { subscription: shownSubscription(row), userErrors: [] };
  },
  deleteEventSubscription: async (_parent, { subscriptionId, expectedVersion, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'deleteEventSubscription', { subscriptionId, expectedVersion });
    const how = { expectedVersion: expectedVersion ?? null, call };
    return { deletedId: await service.events.subscriptions.remove(scope, subscriptionId, how), userErrors: [] };
  },
  acknowledgeDelivery: async (_parent, { deliveryId, answer, reason }, { service, scope }) => {
    const told = await service.events.deliveries.answer(scope, deliveryId, { answer, reason: reason ?? null });
    return { delivery: shownDelivery(told.delivery), first: told.first, userErrors: [] };
  },
  redriveDeadLetter: async (_parent, { deliveryId, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'redriveDeadLetter', { deliveryId });
    return {
      delivery: shownDelivery(await service.events.deliveries.redrive(scope, deliveryId, call)),
      userErrors: [],
    };
  },
  replayEvents: async (_parent, { subscriptionId, idempotencyKey, ...asked }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'replayEvents', { subscriptionId, ...asked });
    const which = { ...asked, patterns: asked.patterns ?? null, streamId: asked.streamId ?? null };
    return { ...(await service.events.replay(scope, subscriptionId, which, call)), userErrors: [] };
  },
} satisfies MutationResolvers;
