import { ApolloGateway, type GraphQLDataSourceProcessOptions, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { createVerifier } from '../authentication.ts';
import type { StartPeer } from '../peerServer.ts';

interface Context {
  readonly authorization?: string | undefined;
}

/** Forwards the caller's header, as Apollo's documentation does it. */
class ForwardingSource extends RemoteGraphQLDataSource {
  override willSendRequest({ request, context }: GraphQLDataSourceProcessOptions): void {
    const { authorization } = context as Context;
    if (authorization !== undefined) request.http?.headers.set('authorization', authorization);
  }
}

/** Stock Apollo Gateway under the standalone Apollo Server, of the versions that the project itself uses. */
export const start: StartPeer = async ({ supergraphSdl, authentication }) => {
  const verifier = createVerifier(authentication);
  const gateway = new ApolloGateway({ supergraphSdl, buildService: ({ url = '' }) => new ForwardingSource({ url }) });
  const server = new ApolloServer<Context>({ gateway, introspection: false, stopOnTerminationSignals: false });
  const { url } = await startStandaloneServer(server, {
    listen: { host: '127.0.0.1', port: 0 },
    context: async ({ req }) => {
      await verifier.verify(req.headers.authorization);
      return { authorization: req.headers.authorization };
    },
  });
  return {
    port: Number(new URL(url).port),
    async close() {
      await server.stop();
      verifier.close();
    },
  };
};
