import { findPlace, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import type {
  NetworkConnectionRow,
  NetworkMessageRow,
  NetworkOptimizationRow,
  NetworkRow,
  NetworkServiceRow,
} from './rows.ts';

type Detail = Readonly<Record<string, unknown>>;
type Place = Pick<NetworkRow, 'id' | 'contextId'>;

/** Everything that is shown of a network and its structure. */
const structureTags = ({ id, contextId }: Place) => [`Network:${id}`, 'networks', `Context:${contextId}:networks`];

/** An event about the network itself or its structure; it carries the whole row and what changed. */
export function networkEvent(type: string, row: NetworkRow, changes: Detail = {}): NewEvent {
  const { protocol: _protocol, ...network } = row;
  return { streamId: row.id, type, data: { network, ...changes }, tags: structureTags(row) };
}

/** An event about a connection: it changes what is reserved on links, and nothing else of the network. */
export function connectionEvent(
  type: string,
  network: Place,
  connection: NetworkConnectionRow,
  changes: Detail = {},
): NewEvent {
  return {
    streamId: network.id,
    type,
    data: { connection: { ...connection, contextId: network.contextId }, ...changes },
    tags: [`NetworkConnection:${connection.id}`, `Network:${network.id}:connections`, `Network:${network.id}:links`],
  };
}

export function serviceEvent(type: string, network: Place, service: NetworkServiceRow): NewEvent {
  return {
    streamId: network.id,
    type,
    data: { service: { ...service, contextId: network.contextId } },
    tags: [`NetworkService:${service.id}`, `Network:${network.id}:services`],
  };
}

/** A run, and what has become of it. */
export function runEvent(
  { id, networkId, result, state, refusal }: NetworkOptimizationRow,
  contextId: string,
): NewEvent {
  const { before, after, lowerBound, movesMade = 0, movesDropped = 0 } = result;
  return {
    streamId: networkId,
    type: 'routes.optimized',
    data: {
      run: { id, networkId, contextId, state, refusal, movesMade, movesDropped },
      before,
      after,
      lowerBound,
      applied: state === 'applied',
    },
    tags: [`NetworkOptimization:${id}`],
  };
}

export function messageEvent(type: string, network: Place, message: NetworkMessageRow): NewEvent {
  return {
    streamId: network.id,
    type,
    data: { message: { ...message, contextId: network.contextId } },
    tags: [`NetworkMessage:${message.id}`],
  };
}

function placeOf(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    timestamp: event.createdAt,
    networkId: event.streamId,
  };
}

/** Readers of the network; who may no longer see its context is cut, and everyone when it is deleted. */
const admitReaders: StreamSubscription['admit'] = async (principal, args, { sql }) => {
  const id = args['networkId'];
  const found = await findPlace(sql, { schema: 'network', table: 'network' }, { tenantId: principal.tenantId, id });
  if (!found) throw unknownNetwork();
  await requireVisible(sql, principal, String(id));
  const sees = followSight(principal, found);
  let over = false;
  return {
    decide(event) {
      if (over || !sees(event)) return 'end';
      over = event.type === 'network.deleted';
      return 'deliver';
    },
  };
};

const stream = (types: readonly string[], payload: StreamSubscription['payload']): StreamSubscription => ({
  module: 'network',
  kind: 'stream',
  streamId: (args) => String(args['networkId']),
  types,
  payload,
  admit: admitReaders,
});

const isRow = (value: unknown): value is Detail => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The key of an entity that an event carries: its owner answers the rest. */
const referenceTo = (row: unknown) => (isRow(row) ? { id: row['id'] } : null);

/** Rows without the column that only keeps tenants apart. */
function withoutTenant(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTenant);
  if (!isRow(value)) return value;
  const { tenantId: _tenant, ...told } = value;
  return told;
}

/** A message in GraphQL's shape. */
export function messageShape(message: NetworkMessageRow) {
  return {
    ...message,
    messageId: message.id,
    strategy: message.strategy.toUpperCase(),
    priority: message.priority.toUpperCase(),
    reliability: message.reliability.toUpperCase(),
    status: message.status.toUpperCase(),
  };
}

/** Fields of `Subscription` that the network module feeds. */
export const networkSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  networkEvent: stream(['network.*', 'node.*', 'link.*', 'connection.*', 'service.*', 'routes.*'], (event) => ({
    ...placeOf(event),
    type: event.type,
    actor: event.actor,
    network: { id: event.streamId },
    connection: referenceTo(event.data['connection']),
    service: referenceTo(event.data['service']),
    data: Object.fromEntries(Object.entries(event.data).map(([part, value]) => [part, withoutTenant(value)])),
  })),
  networkMetrics: stream(['metrics.*'], (event) => ({ ...placeOf(event), ...(event.data['sample'] as Detail) })),
  networkPassingMessages: {
    ...stream(['message.passed'], (event) => ({
      ...placeOf(event),
      type: event.type,
      message: messageShape(event.data['message'] as NetworkMessageRow),
    })),
    kind: 'ephemeral',
  },
  networkMessages: stream(['message.*'], (event) => ({
    ...placeOf(event),
    type: event.type,
    message: messageShape(event.data['message'] as NetworkMessageRow),
  })),
};

export function unknownNode(path: readonly string[] = ['nodeId']): PlatformError {
  return new PlatformError('NOT_FOUND', 'the network has no such node', { path });
}
