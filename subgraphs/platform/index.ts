import { defineSubgraph } from '#shared/subgraph.ts';
import { resolvers } from './resolvers.ts';
import { createPlatformService } from './service.ts';

export const platformSubgraph = defineSubgraph({
  name: 'platform',
  resolvers,
  createService: createPlatformService,
  createLoaders: () => ({}),
});
