import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';
import { foreignNames, foreignTypeDefs } from './subgraphs.ts';

/**
 * Composes the foreign subgraphs, each at its path below `origin`.
 * @throws {Error} when they do not compose.
 */
export function composeForeignSupergraph(origin: string): string {
  const { supergraphSdl, errors } = composeServices(
    foreignNames.map((name) => ({ name, url: `${origin}/${name}`, typeDefs: parse(foreignTypeDefs[name]) })),
  );
  if (supergraphSdl === undefined)
    throw new Error(`the foreign subgraphs do not compose: ${errors?.map((error) => error.message).join('; ')}`);
  return supergraphSdl;
}
