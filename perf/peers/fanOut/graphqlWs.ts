import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import { buildSchema, GraphQLError } from 'graphql';
import { PubSub } from 'graphql-subscriptions';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { listenLocally } from '../peerServer.ts';
import type { StartFanOut } from './fanOutServer.ts';
import { room, typeDefs } from './message.ts';

/** Stock graphql-ws over `ws` with graphql-subscriptions’ PubSub: an execution and a frame for each subscriber. */
export const start: StartFanOut = async () => {
  const pubSub = new PubSub({ eventEmitter: new EventEmitter().setMaxListeners(0) });
  const schema = buildSchema(typeDefs);
  const field = schema.getSubscriptionType()?.getFields()['messageAdded'];
  if (!field) throw new GraphQLError('the schema has no messageAdded');
  let subscribers = 0;
  field.subscribe = (_root: unknown, variables: { room: string }) => {
    subscribers += 1;
    return pubSub.asyncIterableIterator(variables.room);
  };
  const server = createServer((_request, response) => void response.writeHead(404).end());
  const webSockets = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false });
  const cleanup = useServer({ schema }, webSockets);
  const running = await listenLocally(server);
  return {
    port: running.port,
    get subscribers() {
      return subscribers;
    },
    publish(messages) {
      for (const message of messages) void pubSub.publish(room, { messageAdded: message });
    },
    async close() {
      for (const client of webSockets.clients) client.terminate();
      await cleanup.dispose();
      await running.close();
    },
  };
};
