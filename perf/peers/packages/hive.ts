import { createServer } from 'node:http';
import { createVerifier } from '../authentication.ts';
import { listenLocally, type StartPeer } from '../peerServer.ts';
import { type HiveRouterRuntime, type HiveRuntime, loadForeign } from './foreign.ts';

/** Hive Gateway's runtime under Node's HTTP server, with its own planner (`js`) or that of Hive Router (`rust`). */
export const start: StartPeer = async ({ variant, supergraphSdl, authentication }) => {
  if (variant !== 'js' && variant !== 'rust') throw new Error(`expected js or rust, got ${variant}`);
  const verifier = createVerifier(authentication);
  const { createGatewayRuntime } = await loadForeign<HiveRuntime>('@graphql-hive/gateway-runtime');
  const handler =
    variant === 'rust'
      ? {
          unifiedGraphHandler: (await loadForeign<HiveRouterRuntime>('@graphql-hive/router-runtime'))
            .unifiedGraphHandler,
        }
      : {};
  const gateway = createGatewayRuntime({
    supergraph: supergraphSdl,
    ...handler,
    logging: false,
    landingPage: false,
    graphiql: false,
    propagateHeaders: {
      fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get('authorization') ?? '' }),
    },
    plugins: () => [
      {
        async onRequest({ request, fetchAPI, endResponse }) {
          try {
            await verifier.verify(request.headers.get('authorization') ?? undefined);
          } catch {
            endResponse(new fetchAPI.Response(null, { status: 401 }));
          }
        },
      },
    ],
  });
  const running = await listenLocally(createServer(gateway));
  return {
    port: running.port,
    async close() {
      await running.close();
      await gateway[Symbol.asyncDispose]();
      verifier.close();
    },
  };
};
