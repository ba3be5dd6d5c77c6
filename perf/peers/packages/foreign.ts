import type { IncomingHttpHeaders, OutgoingHttpHeaders, RequestListener } from 'node:http';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';

/** What of `@graphql-hive/gateway-runtime` is used here. */
export interface HiveRuntime {
  createGatewayRuntime(options: {
    readonly supergraph: string;
    readonly unifiedGraphHandler?: unknown;
    readonly logging: boolean;
    readonly landingPage: boolean;
    readonly graphiql: boolean;
    readonly propagateHeaders: {
      fromClientToSubgraphs(payload: { readonly request: Request }): Record<string, string>;
    };
    plugins(): readonly { onRequest(payload: HiveRequest): Promise<void> }[];
  }): RequestListener & { [Symbol.asyncDispose](): PromiseLike<void> };
}

interface HiveRequest {
  readonly request: Request;
  readonly fetchAPI: { readonly Response: typeof Response };
  endResponse(response: Response): void;
}

/** What of `@graphql-hive/router-runtime` is used here. */
export interface HiveRouterRuntime {
  readonly unifiedGraphHandler: unknown;
}

/** What of `@mercuriusjs/gateway` is used here. */
export interface MercuriusGateway {
  readonly default: FastifyPluginAsync<{
    readonly jit: number;
    readonly graphiql: boolean;
    context(request: FastifyRequest): Promise<object>;
    readonly gateway: {
      readonly services: readonly {
        readonly name: string;
        readonly url: string;
        readonly schema: string;
        readonly mandatory: boolean;
        readonly connections: number;
        rewriteHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders;
      }[];
    };
  }>;
}

/**
 * Loads a package that stands in the lockfile of this folder. Its own types would bring others of Node and of the DOM
 * into the project's checks wherever it is installed, so it is described above.
 * @throws {Error} when it is not installed.
 */
export async function loadForeign<Module>(name: string): Promise<Module> {
  return (await import(name)) as Module;
}
