import { defineSubgraph } from '#shared/subgraph.ts';
import { networkCodec } from './codec.ts';
import { networkSubscriptions } from './events.ts';
import { createNetworkLoaders } from './loaders.ts';
import { networkLocators } from './locators.ts';
import { resolvers } from './resolvers.ts';
import { createNetworkService, networkCrontab } from './service.ts';

export const networkSubgraph = defineSubgraph({
  name: 'network',
  locators: networkLocators,
  resolvers,
  createService: createNetworkService,
  createLoaders: createNetworkLoaders,
  subscriptions: networkSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: networkCrontab,
  partitions: [{ schema: 'network', table: 'sample', unit: 'day', keep: 35, ahead: 2 }],
  codec: networkCodec,
  start: (_runtime, service) => service.start(),
});
