import type { Subgraph } from '#shared/subgraph.ts';
import { collabSubgraph } from './collab/index.ts';
import { confirmSubgraph } from './confirm/index.ts';
import { contextSubgraph } from './context/index.ts';
import { coreSubgraph } from './core/index.ts';
import { dialogSubgraph } from './dialog/index.ts';
import { extensionSubgraph } from './extension/index.ts';
import type { SubgraphName } from './names.ts';
import { networkSubgraph } from './network/index.ts';
import { planSubgraph } from './plan/index.ts';
import { platformSubgraph } from './platform/index.ts';
import { roleSubgraph } from './role/index.ts';
import { traceSubgraph } from './trace/index.ts';

/** Every subgraph by name. */
export const registry: Readonly<Record<SubgraphName, Subgraph>> = {
  collab: collabSubgraph,
  confirm: confirmSubgraph,
  context: contextSubgraph,
  core: coreSubgraph,
  dialog: dialogSubgraph,
  network: networkSubgraph,
  extension: extensionSubgraph,
  plan: planSubgraph,
  platform: platformSubgraph,
  role: roleSubgraph,
  trace: traceSubgraph,
};
