import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { listenLocally } from '../peerServer.ts';
import type { FanOutServer } from './fanOutServer.ts';
import { nextMessage, type RoomMessage } from './message.ts';

/** The operation id that all clients of the comparison use; the bare servers know no other. */
export const operationId = '1';

interface Member {
  readonly webSocket: WebSocket;
  /** What `ws` writes to. */
  readonly socket: Duplex;
}

/**
 * Sockets that get bytes, without GraphQL: the handshake is answered, whatever comes after it is a subscription. `send`
 * gives the messages to all members.
 */
export async function startBare(
  send: (members: Iterable<Member>, messages: readonly Buffer[]) => void,
): Promise<FanOutServer> {
  const members = new Set<Member>();
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: () => 'graphql-transport-ws',
  });
  const server = createServer((_request, response) => void response.writeHead(404).end());
  server.on('upgrade', (request, socket, head) =>
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const member = { webSocket, socket };
      webSocket.on('message', (data) => {
        const { type } = JSON.parse(String(data)) as { type: string };
        if (type === 'connection_init') webSocket.send('{"type":"connection_ack"}');
        else members.add(member);
      });
      webSocket.on('close', () => members.delete(member));
    }),
  );
  const running = await listenLocally(server);
  return {
    port: running.port,
    get subscribers() {
      return members.size;
    },
    publish: (messages: readonly RoomMessage[]) =>
      send(
        members,
        messages.map((message) => Buffer.from(nextMessage(operationId, message))),
      ),
    async close() {
      for (const { webSocket } of members) webSocket.terminate();
      await running.close();
    },
  };
}
