import { WebSocket } from 'ws';
import type { GraphqlResponse } from './workload.ts';

export interface SubscriptionTarget {
  readonly wsUrl: string;
  readonly token: string;
}

/** A socket with one subscription, once the server has taken it; the protocol does not acknowledge the subscription itself. */
export function openSubscription(
  { wsUrl, token }: SubscriptionTarget,
  operation: { readonly query: string; readonly variables?: Readonly<Record<string, unknown>> },
  hear: (data: GraphqlResponse['data']) => void,
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(wsUrl, 'graphql-transport-ws', { perMessageDeflate: false });
    const send = (message: unknown): void => socket.send(JSON.stringify(message));
    socket.on('open', () => send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    socket.on('error', reject);
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; payload?: GraphqlResponse };
      if (message.type === 'connection_ack') {
        send({ id: '1', type: 'subscribe', payload: operation });
        resolve(socket);
      } else if (message.type === 'ping') send({ type: 'pong' });
      else if (message.type === 'next') hear(message.payload?.data);
    });
  });
}
