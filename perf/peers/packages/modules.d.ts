/** What the peers' packages are used for here: they are installed by `node perf/peers/run.ts`, and not for the checks. */
declare module '@graphql-hive/gateway-runtime' {
  export interface GatewayRuntime {
    (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse): void;
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
  export interface RequestHookPayload {
    readonly request: Request;
    readonly fetchAPI: { readonly Response: typeof Response };
    endResponse(response: Response): void;
  }
  export function createGatewayRuntime(options: {
    readonly supergraph: string;
    readonly unifiedGraphHandler?: unknown;
    readonly logging: boolean;
    readonly landingPage: boolean;
    readonly graphiql: boolean;
    readonly propagateHeaders: {
      fromClientToSubgraphs(payload: { readonly request: Request }): Record<string, string>;
    };
    plugins(): readonly { onRequest(payload: RequestHookPayload): Promise<void> }[];
  }): GatewayRuntime;
}

declare module '@graphql-hive/router-runtime' {
  export const unifiedGraphHandler: unknown;
}

declare module '@mercuriusjs/gateway' {
  const plugin: import('fastify').FastifyPluginAsync<{
    readonly jit: number;
    readonly graphiql: boolean;
    context(request: import('fastify').FastifyRequest): Promise<object>;
    readonly gateway: {
      readonly services: readonly {
        readonly name: string;
        readonly url: string;
        readonly schema: string;
        readonly mandatory: boolean;
        readonly connections: number;
        rewriteHeaders(headers: import('node:http').IncomingHttpHeaders): import('node:http').OutgoingHttpHeaders;
      }[];
    };
  }>;
  export default plugin;
}
