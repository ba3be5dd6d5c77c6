import { defineSubgraph } from '#shared/subgraph.ts';
import { coreCodec } from './codec.ts';
import { createCoreLoaders } from './loaders.ts';
import { coreLocators } from './locators.ts';
import { resolvers } from './resolvers.ts';
import { createCoreService } from './service.ts';
import { coreSubscriptions } from './subscriptions.ts';

export const coreSubgraph = defineSubgraph({
  name: 'core',
  locators: coreLocators,
  resolvers,
  createService: createCoreService,
  createLoaders: createCoreLoaders,
  subscriptions: coreSubscriptions,
  codec: coreCodec,
  start: (_runtime, service) => service.start(),
});
