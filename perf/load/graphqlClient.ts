import { createHttpPool } from './httpPool.ts';
import { createRequestWriter } from './requests.ts';
import type { GraphqlResponse } from './workload.ts';

export interface GraphqlClient {
  /** @throws {Error} where no answer came, with the code of what went wrong */
  ask(query: string, variables: Readonly<Record<string, unknown>>): Promise<GraphqlResponse>;
  close(): void;
}

export interface GraphqlClientOptions {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  readonly timeoutMs: number;
}

/** Asks a gateway over the pool of bare sockets: for workloads whose operation is more than one request. */
export async function openGraphqlClient(options: GraphqlClientOptions): Promise<GraphqlClient> {
  const { hostname, port, pathname } = new URL(options.url);
  const target = { host: hostname, port: Number(port || 80), path: pathname };
  const pool = createHttpPool({ ...target, connections: options.connections, timeoutMs: options.timeoutMs });
  const write = createRequestWriter(target);
  const headers = { authorization: `Bearer ${options.token}` };
  const check = (): true => true;
  await pool.open();
  return {
    ask: (query, variables) =>
      new Promise((resolve, reject) => {
        pool.send(write({ query, variables, headers, check }), (answer, failure) => {
          if (!answer) {
            reject(Object.assign(new Error(`no answer: ${failure}`), { code: failure ?? 'FAILED' }));
            return;
          }
          try {
            resolve(JSON.parse(answer.body) as GraphqlResponse);
          } catch (error) {
            reject(error);
          }
        });
      }),
    close: () => pool.close(),
  };
}
