import type { Subgraph } from '#shared/subgraph.ts';
import type { SubgraphName } from './names.ts';

/** How each subgraph is loaded. */
const loaders: Readonly<Record<SubgraphName, () => Promise<Subgraph>>> = {
  collab: async () => (await import('./collab/index.ts')).collabSubgraph,
  confirm: async () => (await import('./confirm/index.ts')).confirmSubgraph,
  context: async () => (await import('./context/index.ts')).contextSubgraph,
  core: async () => (await import('./core/index.ts')).coreSubgraph,
  dialog: async () => (await import('./dialog/index.ts')).dialogSubgraph,
  extension: async () => (await import('./extension/index.ts')).extensionSubgraph,
  network: async () => (await import('./network/index.ts')).networkSubgraph,
  plan: async () => (await import('./plan/index.ts')).planSubgraph,
  platform: async () => (await import('./platform/index.ts')).platformSubgraph,
  role: async () => (await import('./role/index.ts')).roleSubgraph,
  trace: async () => (await import('./trace/index.ts')).traceSubgraph,
};

/** The code of these subgraphs, by name: a process that serves one module does not load the others. */
export async function loadSubgraphs(names: readonly SubgraphName[]): Promise<ReadonlyMap<SubgraphName, Subgraph>> {
  return new Map(await Promise.all(names.map(async (name) => [name, await loaders[name]()] as const)));
}
