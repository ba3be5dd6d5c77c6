import { defineSubgraph } from '#shared/subgraph.ts';
import { extensionCodec } from './codec.ts';
import { extensionErasure } from './erasure.ts';
import { createExtensionLoaders } from './loaders.ts';
import { extensionLocators } from './locators.ts';
import { extensionPartitions } from './partitions.ts';
import { resolvers } from './resolvers.ts';
import { createExtensionService } from './service.ts';
import { extensionSubscriptions } from './subscriptions.ts';
import { extensionCrontab } from './upkeep.ts';

export const extensionSubgraph = defineSubgraph({
  name: 'extension',
  erasure: extensionErasure,
  locators: extensionLocators,
  resolvers,
  createService: createExtensionService,
  createLoaders: createExtensionLoaders,
  subscriptions: extensionSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: extensionCrontab,
  partitions: extensionPartitions,
  codec: extensionCodec,
  start: (_runtime, service) => service.start(),
});
