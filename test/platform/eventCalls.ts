import type { Principal } from '#shared/principal.ts';
import type { Json, PlatformRig } from './rig.ts';

const errors = 'userErrors { code path message }';
const delivery =
  'id subscriptionId eventId replayId partition orderingKey inboxKey status attempt lastError fault processingMs event { type payload }';

/** The operations on events, with the payloads as they come. */
export function eventCalls(rig: () => PlatformRig) {
  const run = async (who: Principal, field: string, document: string, variables: Json): Promise<Json> =>
    (await rig().ask(who, document, variables))[field];
  return {
    publish: (who: Principal, inputs: readonly Json[]) =>
      run(
        who,
        'publishEvents',
        `mutation ($inputs: [PublishEventInput!]!) { publishEvents(inputs: $inputs) { events { eventId streamId sequence repeated } ${errors} } }`,
        { inputs },
      ),
    subscribe: (who: Principal, input: Json) =>
      run(
        who,
        'createEventSubscription',
        `mutation ($input: CreateEventSubscriptionInput!) { createEventSubscription(input: $input) {
           subscription { id name status revision hasSecret partitions } ${errors} } }`,
        { input: { patterns: ['order.*'], target: 'PULL', name: crypto.randomUUID(), ...input } },
      ),
    deliveries: async (who: Principal, filter: Json = {}): Promise<Json[]> =>
      (
        await run(
          who,
          'deliveries',
          `query ($subscriptionId: ID, $eventId: ID, $status: [PlatformDeliveryStatus!]) {
             deliveries(subscriptionId: $subscriptionId, eventId: $eventId, status: $status, first: 100) { nodes { ${delivery} } } }`,
          filter,
        )
      ).nodes,
    answer: (who: Principal, deliveryId: string, answer = 'ACKNOWLEDGED') =>
      run(
        who,
        'acknowledgeDelivery',
        `mutation ($deliveryId: ID!, $answer: PlatformDeliveryAnswer!) { acknowledgeDelivery(deliveryId: $deliveryId, answer: $answer) {
           delivery { status attempt } first ${errors} } }`,
        { deliveryId, answer },
      ),
    redrive: (who: Principal, deliveryId: string) =>
      run(
        who,
        'redriveDeadLetter',
        `mutation ($deliveryId: ID!) { redriveDeadLetter(deliveryId: $deliveryId) { delivery { status } ${errors} } }`,
        { deliveryId },
      ),
    replay: (who: Principal, subscriptionId: string, key?: string) =>
      run(
        who,
        'replayEvents',
        `mutation ($subscriptionId: ID!, $from: DateTime!, $to: DateTime!, $key: String) {
           replayEvents(subscriptionId: $subscriptionId, from: $from, to: $to, idempotencyKey: $key) { replayId deliveries nextFrom ${errors} } }`,
        {
          subscriptionId,
          from: '2026-01-01T00:00:00.000Z',
          to: '2099-01-01T00:00:00.000Z',
          key,
        },
      ),
    change: (who: Principal, field: string, subscriptionId: string, expectedVersion?: number) =>
      run(
        who,
        field,
        `mutation ($subscriptionId: ID!, $expectedVersion: Int) { ${field}(subscriptionId: $subscriptionId, expectedVersion: $expectedVersion) {
           ${field === 'deleteEventSubscription' ? 'deletedId' : 'subscription { status revision }'} ${errors} } }`,
        { subscriptionId, expectedVersion },
      ),
    /** What the subscription's stream brought its consumers so far. */
    ready: async (subscriptionId: string): Promise<Json[]> =>
      (
        await rig().sql<{ delivery: Json }[]>`
          SELECT data->'delivery' AS delivery FROM platform.event
          WHERE stream_id = ${subscriptionId} AND type = 'delivery.ready' ORDER BY sequence`
      ).map((row) => row.delivery),
  };
}
