import type { Graph, GraphResult } from './graph.ts';
import { type IdentitySigner, identityHeader } from './identity.ts';
import type { Principal } from './principal.ts';

export interface GatewayGraphOptions {
  /** Address of the gateway's GraphQL endpoint; without it every call is refused. */
  readonly url: string | undefined;
  readonly identity: IdentitySigner;
  /** @default 10_000 */
  readonly timeoutMs?: number;
}

/** The graph for a subgraph in a process of its own: through the gateway, under the signed identity of the principal. */
export function createGatewayGraph({ url, identity, timeoutMs = 10_000 }: GatewayGraphOptions): Graph {
  return {
    async execute<Data>(
      document: string,
      variables: Readonly<Record<string, unknown>>,
      principal: Principal,
      signal?: AbortSignal,
    ): Promise<GraphResult<Data>> {
      if (url === undefined) throw new Error('GATEWAY_URL is not set: this subgraph cannot ask the graph');
      const timeout = AbortSignal.timeout(timeoutMs);
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', [identityHeader]: identity.sign(principal) },
        body: JSON.stringify({ query: document, variables }),
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      const result = (await response.json()) as {
        data?: Data | null;
        errors?: { message: string; path?: (string | number)[]; extensions?: { code?: string } }[];
      };
      return {
        data: result.data ?? null,
        errors: (result.errors ?? []).map(({ message, path, extensions }) => ({
          message,
          ...(path === undefined ? {} : { path }),
          code: extensions?.code ?? 'INTERNAL_ERROR',
        })),
      };
    },
  };
}
