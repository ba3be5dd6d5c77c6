import { readFile, writeFile } from 'node:fs/promises';
import { composeServices } from '@apollo/composition';
import { Supergraph } from '@apollo/federation-internals';
import { printSchema } from 'graphql';
import { collectAuthRules } from '#shared/auth.ts';
import { readTypeDefs } from '#shared/subgraph.ts';
import { type SubgraphName, subgraphNames } from '../subgraphs/names.ts';

/** Address written into the supergraph; the gateway replaces it by SUBGRAPH_URLS or runs the subgraph in-process. */
function placeholderUrl(name: SubgraphName): string {
  return `http://${name}.subgraph.internal/graphql`;
}

export interface Composition {
  readonly supergraphSdl: string;
  readonly apiSdl: string;
}

/** @throws {Error} with every composition error, or the fields that lack `@auth`. */
export async function composeSupergraph(names: readonly SubgraphName[] = subgraphNames): Promise<Composition> {
  const services = await Promise.all(
    names.map(async (name) => ({ name, url: placeholderUrl(name), typeDefs: await readTypeDefs(name) })),
  );
  for (const service of services) collectAuthRules(service.typeDefs);
  const result = composeServices(services);
  if (result.errors)
    throw new Error(`the subgraphs do not compose:\n${result.errors.map((error) => `  ${error.message}`).join('\n')}`);
  const api = Supergraph.build(result.supergraphSdl).apiSchema().toGraphQLJSSchema();
  return { supergraphSdl: `${result.supergraphSdl.trim()}\n`, apiSdl: `${printSchema(api).trim()}\n` };
}

export const supergraphFile = new URL('./supergraph.graphql', import.meta.url);
export const apiFile = new URL('./api.graphql', import.meta.url);

/** Writes only what changed, so that watchers and build caches stay quiet. */
export async function writeIfChanged(file: URL, text: string): Promise<boolean> {
  const before = await readFile(file, 'utf8').catch(() => null);
  if (before === text) return false;
  await writeFile(file, text);
  return true;
}

if (import.meta.main) {
  const { supergraphSdl, apiSdl } = await composeSupergraph();
  await writeIfChanged(supergraphFile, supergraphSdl);
  await writeIfChanged(apiFile, apiSdl);
}
