import { defineSubgraph } from '#shared/subgraph.ts';
import { dialogCodec } from './codec.ts';
import { dialogErasure } from './erasure.ts';
import { dialogExports } from './exports.ts';
import { createDialogLoaders } from './loaders.ts';
import { dialogLocators } from './locators.ts';
import { dialogPartitions } from './partitions.ts';
import { resolvers } from './resolvers.ts';
import { createDialogService, dialogCrontab } from './service.ts';
import { dialogSubscriptions } from './subscriptions.ts';

export const dialogSubgraph = defineSubgraph({
  name: 'dialog',
  exports: dialogExports,
  erasure: dialogErasure,
  locators: dialogLocators,
  resolvers,
  createService: (runtime) => createDialogService(runtime),
  createLoaders: createDialogLoaders,
  subscriptions: dialogSubscriptions,
  jobs: (_runtime, service) => service.jobs(),
  crontab: dialogCrontab,
  partitions: dialogPartitions,
  codec: dialogCodec,
  start: (_runtime, service) => service.start(),
});
