import type { GatewayExecutor, GatewayInterface } from '@apollo/server-gateway-interface';
import type { GatewayContext } from './context.ts';
import type { DirectOperation } from './execution/direct.ts';

export interface WithDirectOptions {
  /** The operation that Apollo Server found valid, null where only the gateway can execute it. */
  readonly directOf: (request: Parameters<GatewayExecutor>[0]) => DirectOperation<GatewayContext> | null;
  /** Whether the data sources keep the caller out of something: then nothing goes past them. */
  readonly isNarrowed: (context: GatewayContext) => boolean | Promise<boolean>;
}

/**
 * The gateway, asked only for what cannot be executed directly: what Apollo Server has found valid goes the same way the
 * first time that it goes when it is known. ApolloGateway would plan it as well, print a document for each fetch, which
 * the subgraph parses anew, and keep all of that.
 */
export function withDirect(gateway: GatewayInterface, { directOf, isNarrowed }: WithDirectOptions): GatewayInterface {
  return {
    async load(options) {
      const { executor } = await gateway.load(options);
      if (executor === null) return { executor };
      return {
        async executor(request) {
          const context = request.context as GatewayContext;
          const direct = context.declined || (await isNarrowed(context)) ? null : directOf(request);
          const result = direct === null ? null : await direct.execute(request.request.variables, context);
          if (result === null) return executor(request);
          // Errors first, as the specification would have it and as the gateway answers.
          return result.errors === undefined ? result : { errors: result.errors, ...result };
        },
      };
    },
    onSchemaLoadOrUpdate: (callback) => gateway.onSchemaLoadOrUpdate(callback),
    stop: () => gateway.stop(),
  };
}
