import { buildSubgraphSchema } from '@apollo/subgraph';
import type { DocumentNode, GraphQLSchema } from 'graphql';
import type { RemoteSubgraph } from './execution/remoteDirect.ts';

/** The subgraphs of other processes, as direct execution asks them; a schema is built when it is first needed. */
export function remoteSubgraphs(
  modules: readonly { readonly name: string; readonly typeDefs: DocumentNode }[],
  sources: ReadonlyMap<string, RemoteSubgraph['source']>,
): ReadonlyMap<string, RemoteSubgraph> {
  return new Map(
    modules.map(({ name, typeDefs }) => {
      let schema: GraphQLSchema | undefined;
      const build = () => {
        schema ??= buildSubgraphSchema([{ typeDefs }]);
        return schema;
      };
      return [name, { schema: build, source: sources.get(name)! }];
    }),
  );
}
