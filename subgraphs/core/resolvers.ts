import { agentMutations, agentQueries, agentTypes } from './resolvers/agents.ts';
import { allocationMutations, allocationQueries, allocationTypes } from './resolvers/allocations.ts';
import { optimizationMutations, optimizationQueries, optimizationTypes } from './resolvers/optimization.ts';
import { systemMutations, systemQueries, systemTypes } from './resolvers/system.ts';
import { workflowMutations } from './resolvers/workflowMutations.ts';
import { workflowQueries } from './resolvers/workflowQueries.ts';
import { workflowTypes } from './resolvers/workflowTypes.ts';
import type { Resolvers } from './resolvers.generated.ts';

export const resolvers: Resolvers = {
  Query: { ...workflowQueries, ...allocationQueries, ...systemQueries, ...optimizationQueries, ...agentQueries },
  Mutation: {
    ...workflowMutations,
    ...allocationMutations,
    ...systemMutations,
    ...optimizationMutations,
    ...agentMutations,
  },
  ...workflowTypes,
  ...allocationTypes,
  ...systemTypes,
  ...optimizationTypes,
  ...agentTypes,
};
