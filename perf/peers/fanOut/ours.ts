import '../../../gateway/lazyPackages.ts';
import { createServer } from 'node:http';
import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';
import { createPlanning } from '../../../gateway/execution/planning.ts';
import type { EventLog } from '../../../gateway/subscriptions/eventLog.ts';
import { createSubscriptionHub } from '../../../gateway/subscriptions/hub.ts';
import { createLocalBus } from '../../../subgraphs/shared/bus.ts';
import type { EventRow, StreamSubscription } from '../../../subgraphs/shared/events.ts';
import { createPrincipal } from '../../../subgraphs/shared/principal.ts';
import { createSql } from '../../../subgraphs/shared/sql.ts';
import { listenLocally } from '../peerServer.ts';
import type { StartFanOut } from './fanOutServer.ts';
import { type RoomMessage, room, typeDefs } from './message.ts';

const tenantId = 'peers';
const maxSubscribers = 100_000;

const messageAdded: StreamSubscription = {
  module: 'dialog',
  kind: 'stream',
  streamId: ({ room }) => String(room),
  types: ['dialog.message.sent'],
  payload: ({ data }) => data,
  admit: async () => ({ decide: () => 'deliver' }),
};

function toEvent(message: RoomMessage, streamId: string): EventRow {
  return {
    ...{ tenantId, streamId, sequence: message.sequence, eventId: message.id },
    module: 'dialog',
    type: 'dialog.message.sent',
    actor: message.author,
    data: { ...message },
    tags: [],
    createdAt: new Date(message.sentAt).toISOString(),
  };
}

/** The events so far, in memory: the comparison is of what comes after the commit. */
function createMemoryLog() {
  const events: EventRow[] = [];
  const log: EventLog = {
    read: async ({ afterSequence, limit }) => events.slice(afterSequence, afterSequence + limit),
    head: async () => ({ lastSequence: events.length, oldestKeptSequence: 1 }),
    heads: async (_module, streams) =>
      events.length === 0 ? [] : streams.map((stream) => ({ ...stream, lastSequence: events.length })),
  };
  return { events, log };
}

/** The project's subscription hub: one execution, one payload and, per socket and turn, one write. */
export const start: StartFanOut = async () => {
  const { supergraphSdl } = composeServices([{ name: 'dialog', typeDefs: parse(typeDefs) }]);
  if (supergraphSdl === undefined) throw new Error('the graph of the room does not compose');
  const { events, log } = createMemoryLog();
  const bus = createLocalBus((error) => {
    throw error;
  });
  const principal = createPrincipal({ tenantId, subject: 'reader', scopes: ['*'] });
  // Nothing of the room asks the database: nothing ever connects.
  const sql = createSql('postgres://127.0.0.1:1/none', { applicationName: 'peers', max: 1 });
  const hub = createSubscriptionHub({
    planning: createPlanning(supergraphSdl),
    dataSources: {},
    subscriptions: { messageAdded },
    eventLog: log,
    bus,
    sqlOf: () => sql,
    authenticate: () => principal,
    createRequestContext: () => ({}),
    executeOperation: async () => ({ data: null }),
    scopeOf: () => 'TENANT',
    logger: { debug() {}, info() {}, warn: console.error, error: console.error },
    config: { maxPerSubject: maxSubscribers, maxPerInstance: maxSubscribers },
  });
  const server = createServer((_request, response) => void response.writeHead(404).end());
  server.on('upgrade', hub.handleUpgrade);
  const running = await listenLocally(server);
  return {
    port: running.port,
    get subscribers() {
      return hub.stats().subscriptions;
    },
    publish(messages) {
      const published = messages.map((message) => toEvent(message, room));
      events.push(...published);
      bus.publish(published);
    },
    async close() {
      await hub.close({ deadlineMs: 500 });
      await running.close();
      await sql.end();
    },
  };
};
