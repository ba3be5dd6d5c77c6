import { defineSubgraph } from '#shared/subgraph.ts';
import { platformErasure } from './erasure/rules.ts';
import { platformPartitions } from './partitions.ts';
import { resolvers } from './resolvers.ts';
import { createPlatformService } from './service.ts';
import { platformSubscriptions } from './subscriptions.ts';
import { platformCrontab } from './upkeep.ts';

export const platformSubgraph = defineSubgraph({
  name: 'platform',
  erasure: platformErasure,
  resolvers,
  createService: createPlatformService,
  createLoaders: () => ({}),
  subscriptions: platformSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: platformCrontab,
  partitions: platformPartitions,
  start: (_runtime, service) => service.start(),
});
