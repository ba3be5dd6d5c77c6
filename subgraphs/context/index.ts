import { contextCodec } from './codec.ts';
import { contextSubscriptions } from './events.ts';
import { createContextLoaders } from './loaders.ts';
import { resolvers } from './resolvers.ts';
import { createContextService } from './service.ts';
import { defineSubgraph } from '#shared/subgraph.ts';

export const contextSubgraph = defineSubgraph({
  name: 'context',
  resolvers,
  createService: createContextService,
  createLoaders: createContextLoaders,
  subscriptions: contextSubscriptions,
  codec: contextCodec,
  start: async (_runtime, service) => ({ close: () => service.commands.drain() }),
});
