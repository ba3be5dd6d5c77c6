import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';

/** An issuer's key endpoint whose answer a test can change. */
export interface IssuerServer {
  readonly url: string;
  readonly requests: number;
  publish(...keys: JWK[]): void;
  /** Answers everything like this until `publish`. */
  breakWith(status: number, body: string): void;
  close(): Promise<void>;
}

export async function createIssuerServer(): Promise<IssuerServer> {
  let status = 200;
  let body = '{"keys":[]}';
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/jwks.json`,
    get requests() {
      return requests;
    },
    publish(...keys) {
      status = 200;
      body = JSON.stringify({ keys });
    },
    breakWith(nextStatus, nextBody) {
      status = nextStatus;
      body = nextBody;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
