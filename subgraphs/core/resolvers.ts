import { workflowMutations } from './resolvers/workflowMutations.ts';
import { workflowQueries } from './resolvers/workflowQueries.ts';
import { workflowTypes } from './resolvers/workflowTypes.ts';
import type { Resolvers } from './resolvers.generated.ts';

export const resolvers: Resolvers = { Query: workflowQueries, Mutation: workflowMutations, ...workflowTypes };
