import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedDelivery {
  readonly id: string;
  readonly attempt: number;
  readonly inboxKey: string;
  readonly orderingKey: string;
  readonly partition: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
  readonly event: { readonly id: string; readonly type: string; readonly payload: any };
}

export interface ReceivedCall {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly deliveries: readonly ReceivedDelivery[];
}

/** A webhook that answers as it is told; without being told, 200. */
export async function startReceiver(statusOf: (call: ReceivedCall) => number | Promise<number> = () => 200) {
  const calls: ReceivedCall[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const call = { headers: request.headers, body, deliveries: JSON.parse(body).deliveries };
      calls.push(call);
      response.writeHead(await statusOf(call)).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    calls,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    /** Deliveries in the order they came, those of failed attempts too. */
    deliveries: () => calls.flatMap(({ deliveries }) => deliveries),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
