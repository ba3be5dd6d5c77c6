import { mutations } from './resolvers/mutations.ts';
import { queries } from './resolvers/queries.ts';
import { types } from './resolvers/types.ts';
import type { Resolvers } from './resolvers.generated.ts';

export const resolvers: Resolvers = { Query: queries, Mutation: mutations, ...types };
