import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { createVerifier } from '../authentication.ts';
import { foreignNames, foreignTypeDefs } from '../graph/subgraphs.ts';
import type { StartPeer } from '../peerServer.ts';
import { loadForeign, type MercuriusGateway } from './foreign.ts';

/** Mercurius' gateway with its compiled execution on. It composes the subgraphs' SDL itself: it reads no supergraph. */
export const start: StartPeer = async ({ subgraphsOrigin, authentication }) => {
  const verifier = createVerifier(authentication);
  const { default: gateway } = await loadForeign<MercuriusGateway>('@mercuriusjs/gateway');
  const app = Fastify({ keepAliveTimeout: 600_000 });
  await app.register(gateway, {
    jit: 1,
    graphiql: false,
    context: async (request) => {
      await verifier.verify(request.headers.authorization);
      return {};
    },
    gateway: {
      services: foreignNames.map((name) => ({
        name,
        url: `${subgraphsOrigin}/${name}`,
        schema: foreignTypeDefs[name],
        mandatory: true,
        connections: 64,
        rewriteHeaders: (headers: IncomingHttpHeaders) => ({ authorization: headers.authorization }),
      })),
    },
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    port: (app.server.address() as AddressInfo).port,
    async close() {
      await app.close();
      verifier.close();
    },
  };
};
