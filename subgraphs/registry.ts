import type { Subgraph } from '#shared/subgraph.ts';
import { collabSubgraph } from './collab/index.ts';
import { confirmSubgraph } from './confirm/index.ts';
import { contextSubgraph } from './context/index.ts';
import { dialogSubgraph } from './dialog/index.ts';
import type { SubgraphName } from './names.ts';
import { planSubgraph } from './plan/index.ts';
import { platformSubgraph } from './platform/index.ts';
import { roleSubgraph } from './role/index.ts';
import { traceSubgraph } from './trace/index.ts';

/** Every subgraph by name. */
export const registry: Readonly<Record<SubgraphName, Subgraph>> = {
  collab: collabSubgraph,
  confirm: confirmSubgraph,
  context: contextSubgraph,
  dialog: dialogSubgraph,
  plan: planSubgraph,
  platform: platformSubgraph,
  role: roleSubgraph,
  trace: traceSubgraph,
};
