import type { Subgraph } from '#shared/subgraph.ts';
import { contextSubgraph } from './context/index.ts';
import { dialogSubgraph } from './dialog/index.ts';
import type { SubgraphName } from './names.ts';
import { platformSubgraph } from './platform/index.ts';
import { traceSubgraph } from './trace/index.ts';

/** Every subgraph by name. */
export const registry: Readonly<Record<SubgraphName, Subgraph>> = {
  context: contextSubgraph,
  dialog: dialogSubgraph,
  platform: platformSubgraph,
  trace: traceSubgraph,
};
